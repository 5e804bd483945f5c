"""A thread that renews the slots of running calls, while there are any that other processes see.

The cache is never called under the lock, which event loops take: a cache that hangs must not block
them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

from native_api.limits import counters
from native_api.logs import get_logger

logger = get_logger("native_api.limits")

RENEWAL_INTERVAL_SECONDS: Final = counters.SLOT_TTL_SECONDS / 3

THREAD_NAME: Final = "native-api-slot-renewal"


class SlotRenewal:
    """The slots to renew, by the call that holds them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all slots."""
        self._lock = threading.Lock()
        self._slots: dict[str, Sequence[str]] = {}
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()

    def hold(self, call_id: str, slot_keys: Sequence[str]) -> None:
        """Renew these slots until they are released."""
        with self._lock:
            self._slots[call_id] = slot_keys
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        """Free the slots. Raises any exception of the cache; the slots then expire."""
        with self._lock:
            self._slots.pop(call_id, None)
        counters.store().release(call_id, slot_keys)

    def _run(self) -> None:
        while not self._pause.wait(RENEWAL_INTERVAL_SECONDS):
            with self._lock:
                if not self._slots:
                    self._thread = None
                    return
                slots = dict(self._slots)
            try:
                self._renew(slots)
            except Exception as error:  # each cache backend has its own exceptions
                logger.warning(
                    "Slots of running requests cannot be renewed (%s).", type(error).__name__
                )

    def _renew(self, slots: dict[str, Sequence[str]]) -> None:
        """Renew, then release again what was released meanwhile: it may have been occupied anew."""
        store = counters.store()
        store.renew([(key, call_id) for call_id, keys in slots.items() for key in keys])
        with self._lock:
            released = [call_id for call_id in slots if call_id not in self._slots]
        for call_id in released:
            store.release(call_id, slots[call_id])


slot_renewal: Final = SlotRenewal()


def _after_fork() -> None:
    """Forget the parent's calls."""
    slot_renewal.reset()
    counters.memory_store.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
