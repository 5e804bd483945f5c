"""A memo bounded by the memory it uses, and frozen values to keep in it.

Requests of different callers share remembered values. So these are frozen: subclasses of dict and
list that raise when they are changed, and that orjson can write. To change one, make a copy
(`{**frozen}`, `copy.deepcopy(frozen)`).
"""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn, TypeVar

from native_api.bounded_cache import BoundedCache

V = TypeVar("V")

MISSING: Final[Any] = object()
"""Stands for a value that is not remembered, since None can be a value."""

ENTRY_OVERHEAD_BYTES: Final = 400
"""Bytes that an entry uses besides its value: the key, a tuple and a slot in the table."""

MAX_VALUE_SHARE: Final = 32
"""A value may use at most 1/32 of the memo, so that a few large values do not evict all others."""


class Memo(BoundedCache[bytes, V]):
    """Frozen values by digest, bounded by the bytes that they use.

    Keys must be short: their bytes are not counted.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, weigh=_entry_bytes, max_weight=max_bytes // MAX_VALUE_SHARE)


def _entry_bytes(value: Any) -> int:
    return measure_bytes(value) + ENTRY_OVERHEAD_BYTES


def measure_bytes(value: Any) -> int:
    """The bytes that a JSON value uses in memory, including parts it shares with other values."""
    size, remaining = 0, [value]
    while remaining:
        item = remaining.pop()
        size += sys.getsizeof(item)
        if isinstance(item, dict):
            remaining.extend(item)
            remaining.extend(item.values())
        elif isinstance(item, (list, tuple)):
            remaining.extend(item)
    return size


def _raise_frozen(*arguments: Any, **named: Any) -> NoReturn:
    raise TypeError(
        "This value is shared by many requests and must not be changed. Change a copy of it."
    )


class FrozenDict(dict[str, Any]):
    """A dict that raises TypeError when it is changed. Copies of it are plain dicts."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _raise_frozen
    clear = pop = popitem = setdefault = update = _raise_frozen

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A list that raises TypeError when it is changed. Copies of it are plain lists."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _raise_frozen
    append = clear = extend = insert = pop = remove = reverse = sort = _raise_frozen

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def freeze(value: Any) -> Any:
    """A copy of a JSON value in which all dicts and lists are frozen."""
    if isinstance(value, dict):
        return FrozenDict({name: freeze(item) for name, item in value.items()})
    if isinstance(value, list):
        return FrozenList([freeze(item) for item in value])
    return value
