"""Locks that a fork waits for, and functions that reset the forked process.

The parent's threads do not exist in the child: a lock that one of them holds would never be
released there, and the work of that thread never be finished.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import MethodType
from typing import Any, Final, Protocol
from weakref import WeakMethod

Reset = Callable[[], Any]


class AnyLock(Protocol):
    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


LockOf = Callable[[], AnyLock]

FORK_SECONDS: Final = 2.0
"""How long a fork waits for a transaction to end. Without waiting, the child's copy of SQLite would
hold the transaction's locks for ever."""

_resets: Final[list[Callable[[], Reset | None]]] = []
"""Each returns its function, or None if the object it belongs to is gone."""

_awaited: Final[list[tuple[Callable[[], LockOf | None], float]]] = []
"""Functions that return locks, likewise, and how long to wait for each."""


class _Held(threading.local):
    """Locks that the fork of this thread holds. Several threads may fork at the same time."""

    def __init__(self) -> None:
        self.locks: list[AnyLock] = []


_held: Final = _Held()

_lock = threading.Lock()


def reset_after_fork(reset: Reset) -> None:
    """Call `reset` in every forked process, in the order of these calls: a room's own after those
    of the rooms it imports.

    A bound method does not keep its object alive.
    """
    with _lock:  # objects with locks of their own are made in any thread
        _resets[:] = [reference for reference in _resets if reference() is not None]
        _resets.append(_reference(reset))


def hold_during_forks(lock_of: LockOf, seconds: float = FORK_SECONDS) -> None:
    """Make every fork acquire the lock that this returns, so that no fork interrupts the work that
    the lock guards. After `seconds` it forks without the lock; -1 waits for ever.

    Locks are acquired in the opposite order of these calls: a room's own before those of the rooms
    it imports. A bound method does not keep its object alive. The child must replace the lock.
    """
    with _lock:
        _awaited[:] = [each for each in _awaited if each[0]() is not None]
        _awaited.append((_reference(lock_of), seconds))


def _reference(function: Callable[[], Any]) -> Callable[[], Any]:
    return WeakMethod(function) if isinstance(function, MethodType) else lambda: function


def before_fork() -> None:
    for reference, seconds in reversed(_awaited.copy()):
        lock_of = reference()
        if lock_of is not None and (lock := lock_of()).acquire(timeout=seconds):
            _held.locks.append(lock)


def after_fork_in_parent() -> None:
    while _held.locks:
        _held.locks.pop().release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _held.locks.clear()
    for reference in _resets:
        reset = reference()
        if reset is not None:
            reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
