"""What a forked process starts anew: locks that a thread of the parent may hold, and what the
parent's threads would have finished. They do not exist in the child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import MethodType
from typing import Any, Final
from weakref import WeakMethod

Reset = Callable[[], Any]

_resets: Final[list[Callable[[], Reset | None]]] = []
"""Each returns its function, or None if the object it belongs to is gone."""

_lock = threading.Lock()


def reset_after_fork(reset: Reset) -> None:
    """Call `reset` in every forked process, in the order of these calls: a room's own after those
    of the rooms it imports.

    A bound method does not keep its object alive.
    """
    with _lock:  # objects with locks of their own are made in any thread
        _resets[:] = [reference for reference in _resets if reference() is not None]
        _resets.append(WeakMethod(reset) if isinstance(reset, MethodType) else lambda: reset)


def _reset_all() -> None:
    global _lock
    _lock = threading.Lock()
    for reference in _resets:
        reset = reference()
        if reset is not None:
            reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
