"""An event that may be set from a finalizer.

`threading.Event.set` takes a lock that is not reentrant. Garbage collection can run a finalizer in
the middle of it; if that records usage, it calls `set` again in the same thread and never returns.
"""

from __future__ import annotations

import threading


class ReentrantEvent:
    """Wakes one waiting thread. `set` takes no lock, so it may interrupt itself."""

    __slots__ = ("_unset",)

    def __init__(self) -> None:
        self._unset = threading.Lock()
        self._unset.acquire()

    def set(self) -> None:
        if self._unset.locked():
            try:
                self._unset.release()
            except RuntimeError:
                # Another thread has set it in the meantime.
                return

    def wait_and_clear(self, timeout: float) -> bool:
        """Wait until the event is set, and clear it; False after `timeout` seconds."""
        return self._unset.acquire(timeout=timeout)
