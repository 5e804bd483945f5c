"""How long something takes when nothing else is in the way."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def measure_fastest(times: int, act: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs: what the machine did beside it made the others
    slower."""

    def once() -> float:
        started = perf_counter()
        act()
        return perf_counter() - started

    return min(once() for _ in range(times))
