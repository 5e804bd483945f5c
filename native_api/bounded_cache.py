"""The cache of values in memory, for all rooms: bounded, and with a time to live if need be.

Rules:
1. The entries used least recently are evicted first. Storing an entry and reading it are uses.
2. Threads share a cache, and callers share its values: these are immutable, or whoever owns the
   cache guards them with a lock.
3. Reading takes no lock: each step is a single operation of OrderedDict. So iterate only over keys
   such as strings, whose hash is no Python code: others could be moved in the middle.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar, overload
from weakref import WeakSet

from native_api.forks import reset_after_fork

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_Entry = tuple[V, float | None, int]
"""The value, when it expires, and its weight."""

_MISSING: Final[Any] = object()


class BoundedCache(Generic[K, V]):
    """Holds entries up to `max_size`, which is their number, or the sum of what `weigh` returns.

    An entry heavier than `max_weight` is not stored. Entries expire `seconds` after they were
    stored; None means never.
    """

    def __init__(
        self,
        max_size: int,
        *,
        seconds: float | None = None,
        weigh: Callable[[V], int] | None = None,
        max_weight: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_size: Final = max_size
        self.max_weight: Final = max_size if max_weight is None else max_weight
        self.size = 0
        self._seconds, self._weigh, self._clock = seconds, weigh, clock
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self.after_fork()
        _caches.add(self)

    def after_fork(self) -> None:
        """Replace the lock: one held by a thread of the parent would never be released."""
        self._lock = threading.Lock()

    # --- reading ---------------------------------------------------------------------------------

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: Any = None) -> Any:
        entry = self._entries.get(key)
        if entry is None or (entry[1] is not None and entry[1] <= self._clock()):
            return default
        try:  # noqa: SIM105 (suppress takes twice as long as everything else here)
            self._entries.move_to_end(key)
        except KeyError:  # another thread has just evicted it
            pass
        return entry[0]

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """The value; if there is none, what `make` returns, stored.

        Threads that make the same value at the same time get the one that was stored first.
        """
        value = self.get(key, _MISSING)
        if value is not _MISSING:
            return value
        made = make()
        entry = self._entry(made, self._seconds)
        with self._lock:
            value = self.get(key, _MISSING)
            if value is _MISSING:
                self._put(key, entry)
        return made if value is _MISSING else value

    def __contains__(self, key: K) -> bool:
        """Whether `get` would return the value. Not a use."""
        entry = self._entries.get(key)
        return entry is not None and (entry[1] is None or entry[1] > self._clock())

    def __len__(self) -> int:
        """The number of entries, with those that expired and were not evicted yet."""
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """The keys that are there now, the least recently used first."""
        return iter(list(self._entries))

    def items(self) -> list[tuple[K, V]]:
        return [(key, entry[0]) for key, entry in list(self._entries.items())]

    def values(self) -> list[V]:
        return [entry[0] for entry in list(self._entries.values())]

    # --- storing ---------------------------------------------------------------------------------

    def __setitem__(self, key: K, value: V) -> None:
        self.store(key, value, self._seconds)

    def store(self, key: K, value: V, seconds: float | None) -> None:
        """Store a value that expires after so many seconds; None means never."""
        entry = self._entry(value, seconds)
        with self._lock:
            self._put(key, entry)

    def _entry(self, value: V, seconds: float | None) -> _Entry[V]:
        expires_at = None if seconds is None else self._clock() + seconds
        return value, expires_at, 1 if self._weigh is None else self._weigh(value)

    def _put(self, key: K, entry: _Entry[V]) -> None:
        if entry[2] > self.max_weight:
            self._remove(key)
            return
        replaced = self._entries.get(key)
        self._entries[key] = entry  # at once, so that those who read meanwhile find one of the two
        self._entries.move_to_end(key)
        self.size += entry[2] if replaced is None else entry[2] - replaced[2]
        while self.size > self.max_size:
            self.size -= self._entries.popitem(last=False)[1][2]

    def discard(self, key: K) -> None:
        """Remove the entry, if there is one."""
        with self._lock:
            self._remove(key)

    def _remove(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry[2]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.size = 0


_caches: Final[WeakSet[BoundedCache[Any, Any]]] = WeakSet()


def clear_all() -> None:
    """Clear every cache of this process."""
    for cache in list(_caches):
        cache.clear()


def _after_fork() -> None:
    for cache in list(_caches):
        cache.after_fork()


reset_after_fork(_after_fork)
