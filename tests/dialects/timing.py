"""Measures the time of a function on a busy machine."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def measure_fastest(times: int, act: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs; other work on the machine slowed the rest down."""

    def once() -> float:
        started = perf_counter()
        act()
        return perf_counter() - started

    return min(once() for _ in range(times))
