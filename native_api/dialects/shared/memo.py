"""What is remembered between requests: a memo bounded by the bytes that it takes up, and values
that nobody can change.

Requests of different callers share what is remembered. So it is frozen: dicts and lists that raise
when they are changed, and that otherwise are what they look like, also to orjson. Whoever wants
another value makes a copy (`{**frozen}`, `copy.deepcopy(frozen)`).
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import Any, Final, Generic, NoReturn, TypeVar

V = TypeVar("V")

MISSING: Final[Any] = object()
"""What `Memo.get` returns for a key that it does not know; None can be remembered."""

ENTRY_OVERHEAD_BYTES: Final = 400
"""What an entry takes up beside its value: the key, a tuple, and its place in the table."""

MAX_VALUE_SHARE: Final = 32
"""The largest value that is remembered takes this part of the memo, so that one caller's large
values do not push out all others."""


class Memo(Generic[V]):
    """Values by key, thread-safe. The ones that were not used for longest are forgotten first.

    Keys are digests or other short values: their bytes are not counted.
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
            self._forget(key)
            self._entries[key] = (value, size)
            self.bytes += size
            while self.bytes > self.max_bytes:
                self._forget(next(iter(self._entries)))

    def _forget(self, key: bytes) -> None:
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
    """The bytes that a value of JSON takes up in memory. What it shares with others counts in
    each."""
    size, left = 0, [value]
    while left:
        item = left.pop()
        size += sys.getsizeof(item)
        if isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())
        elif isinstance(item, (list, tuple)):
            left.extend(item)
    return size


def _refuse(*arguments: Any, **named: Any) -> NoReturn:
    raise TypeError(
        "This value is shared by many requests and must not be changed. Make a copy first."
    )


class FrozenDict(dict[str, Any]):
    """A dict that raises TypeError when it is changed. Copies of it are plain dicts."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class FrozenList(list[Any]):
    """A list that raises TypeError when it is changed. Copies of it are plain lists."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def freeze(value: Any) -> Any:
    """A copy of a value of JSON that nobody can change, with everything in it."""
    if isinstance(value, dict):
        return FrozenDict({name: freeze(item) for name, item in value.items()})
    if isinstance(value, list):
        return FrozenList([freeze(item) for item in value])
    return value
