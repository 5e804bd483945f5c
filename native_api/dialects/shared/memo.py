"""A memo bounded by the memory it uses, and frozen values to keep in it.

Requests of different callers share remembered values. So these are frozen: subclasses of dict and
list that raise when they are changed, and that orjson can write. To change one, make a copy
(`{**frozen}`, `copy.deepcopy(frozen)`).
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import Any, Final, Generic, NoReturn, TypeVar

V = TypeVar("V")

MISSING: Final[Any] = object()
"""What `Memo.get` returns for an unknown key, since None can be a value."""

ENTRY_OVERHEAD_BYTES: Final = 400
"""Bytes that an entry uses besides its value: the key, a tuple and a slot in the table."""

MAX_VALUE_SHARE: Final = 32
"""A value may use at most 1/32 of the memo, so that a few large values do not evict all others."""


class Memo(Generic[V]):
    """A thread-safe cache that evicts the least recently used values first.

    Keys must be short, such as digests: their bytes are not counted.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes: Final = max_bytes
        self.max_value_bytes: Final = max_bytes // MAX_VALUE_SHARE
        self.bytes = 0
        self._entries: OrderedDict[bytes, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> V:
        """The value, or MISSING."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                missing: V = MISSING
                return missing
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: bytes, value: V) -> None:
        """Remember a frozen value, unless it is too large."""
        size = measure_bytes(value) + ENTRY_OVERHEAD_BYTES
        if size > self.max_value_bytes:
            return
        with self._lock:
            self._remove(key)
            self._entries[key] = (value, size)
            self.bytes += size
            while self.bytes > self.max_bytes:
                self._remove(next(iter(self._entries)))

    def _remove(self, key: bytes) -> None:
        _, size = self._entries.pop(key, (None, 0))
        self.bytes -= size

    def values(self) -> list[V]:
        with self._lock:
            return [value for value, _ in self._entries.values()]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.bytes = 0


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
