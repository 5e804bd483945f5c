"""Keeping the slots of running calls: a thread renews them, as long as there are any that other
processes can see.

The cache is never asked under the lock, which event loops take: one that hangs must not stop them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

from native_api.limits import counters
from native_api.logs import get_logger

logger = get_logger("native_api.limits")

EVERY: Final = counters.LEASE / 3
"""Seconds between two renewals."""


class Leases:
    """Slots by the call that holds them."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._held: dict[str, Sequence[str]] = {}
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()

    def hold(self, member: str, slots: Sequence[str]) -> None:
        with self._lock:
            self._held[member] = slots
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="native-api-leases", daemon=True
                )
                self._thread.start()

    def leave(self, member: str, slots: Sequence[str]) -> None:
        """Raises what the cache raises; the slots are then free when their lease is over."""
        with self._lock:
            self._held.pop(member, None)
        counters.store().leave(member, slots)

    def _run(self) -> None:
        while not self._pause.wait(EVERY):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                held = dict(self._held)
            try:
                self._renew(held)
            except Exception as error:  # each cache backend has exceptions of its own
                logger.warning(
                    "Slots of running requests cannot be renewed (%s).", type(error).__name__
                )

    def _renew(self, held: dict[str, Sequence[str]]) -> None:
        """What was left meanwhile may have been held again by this: it is left once more."""
        store = counters.store()
        store.renew([(key, member) for member, keys in held.items() for key in keys])
        with self._lock:
            left = [member for member in held if member not in self._held]
        for member in left:
            store.leave(member, held[member])


leases: Final = Leases()


def _after_fork() -> None:
    """The calls of the parent are not ours."""
    leases.start_anew()
    counters.memory.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
