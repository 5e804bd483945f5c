"""A signal from any thread to the one that waits for it."""

from __future__ import annotations

import threading


class Wake:
    """`threading.Event` in small. `set` takes no lock, so a finalizer that runs in the middle of a
    `set` may call it too."""

    __slots__ = ("_unset",)

    def __init__(self) -> None:
        self._unset = threading.Lock()
        self._unset.acquire()

    def set(self) -> None:
        if self._unset.locked():
            try:
                self._unset.release()
            except RuntimeError:
                # Another thread was faster.
                return

    def wait(self, timeout: float) -> bool:
        """Wait for a signal and take it; False where none came in `timeout` seconds."""
        return self._unset.acquire(timeout=timeout)
