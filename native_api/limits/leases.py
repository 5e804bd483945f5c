"""Keeping the slots of running calls: a thread renews them, as long as there are any that other processes can see."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Final

from native_api.limits import counters

logger = logging.getLogger("native_api.limits")

EVERY: Final = counters.LEASE / 3


class Leases:
    """Slots by the call that holds them. Renewing and leaving take turns, so that what was left is not held again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Sequence[str]] = {}
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()

    def hold(self, member: str, slots: Sequence[str]) -> None:
        with self._lock:
            self._held[member] = slots
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="native-api-leases", daemon=True)
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
                try:
                    counters.store().renew([(key, member) for member, keys in self._held.items() for key in keys])
                except Exception as error:  # each cache backend has exceptions of its own
                    logger.warning("Slots of running requests cannot be renewed (%s).", type(error).__name__)


leases = Leases()


def _after_fork() -> None:
    """The calls of the parent are not ours."""
    global leases
    leases = Leases()
    counters.memory.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
