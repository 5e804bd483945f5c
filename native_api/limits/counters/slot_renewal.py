"""A thread that renews the slots of running calls, while there are any that other processes see.

The cache is never called under the lock, which event loops take: a cache that hangs must not block
them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from native_api.background import executors
from native_api.forks import reset_after_fork
from native_api.limits import counters

CACHE_TIMEOUT_SECONDS: Final = 1.0

RENEWAL_INTERVAL_SECONDS: Final = counters.SLOT_TTL_SECONDS / 3

THREAD_NAME: Final = "native-api-slot-renewal"

_threads: Final = executors.cache.lane(1)


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
        """Renew these slots until they are forgotten."""
        with self._lock:
            self._slots[call_id] = slot_keys
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()

    def forget(self, call_id: str) -> None:
        """Do not renew the call's slots any more: they are released, or expire if the cache is
        down."""
        with self._lock:
            self._slots.pop(call_id, None)

    def _run(self) -> None:
        while not self._pause.wait(RENEWAL_INTERVAL_SECONDS):
            with self._lock:
                if not self._slots:
                    self._thread = None
                    return
                slots = dict(self._slots)
            with suppress(Exception):  # each cache backend has its own; the outage has been logged
                _threads.run_sync(CACHE_TIMEOUT_SECONDS, self._renew, slots)

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


reset_after_fork(_after_fork)
