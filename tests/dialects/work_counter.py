"""Measures the work that a function does on a JSON value, instead of the time it takes.

It counts calls, the members visited in each iteration over a dict or list of the value (a copy is
one), comparisons of its texts, and the size of the result.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from native_api.exceptions import InvalidRequest


class WorkCount:
    total = 0


class CountedText(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        WorkCount.total += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        WorkCount.total += 1
        return str.__hash__(self)


class CountedDict(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        WorkCount.total += len(self)
        return super().__iter__()

    def keys(self) -> Any:
        WorkCount.total += len(self)
        return super().keys()

    def values(self) -> Any:
        WorkCount.total += len(self)
        return super().values()

    def items(self) -> Any:
        WorkCount.total += len(self)
        return super().items()


class CountedList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        WorkCount.total += len(self)
        return super().__iter__()

    def __contains__(self, item: object) -> bool:
        WorkCount.total += len(self)
        return super().__contains__(item)


def count_accesses(value: Any) -> Any:
    if isinstance(value, dict):
        return CountedDict(
            {CountedText(name): count_accesses(item) for name, item in value.items()}
        )
    if isinstance(value, list):
        return CountedList([count_accesses(item) for item in value])
    return CountedText(value) if isinstance(value, str) else value


def measure_size(value: Any) -> int:
    """The number of values in a value, with repetitions, plus the characters of its texts."""
    size, remaining = 0, [value]
    while remaining:
        item = remaining.pop()
        size += 1 + (len(item) if isinstance(item, str) else 0)
        if isinstance(item, dict):
            remaining += [*map(str, item), *item.values()]
        elif isinstance(item, list):
            remaining += item
    return size


def measure_work(act: Callable[[Any], Any], value: Any) -> int:
    """The work of `act(value)`, which may raise InvalidRequest."""
    subject = count_accesses(value)
    results = []

    def collect() -> None:
        with contextlib.suppress(InvalidRequest):
            results.append(act(subject))

    return count_calls(collect) + sum(map(measure_size, results))


def count_calls(act: Callable[[], object]) -> int:
    """The functions that `act()` calls, those of C among them, and the accesses that are counted
    here."""
    WorkCount.total = 0
    profile = sys.getprofile()
    sys.setprofile(_count_call)
    try:
        act()
    finally:
        sys.setprofile(profile)
    return WorkCount.total


def _count_call(frame: Any, event: str, argument: Any) -> None:
    if event in ("call", "c_call"):
        WorkCount.total += 1
