"""Using the counter store from an event loop: with a timeout, and without ever failing.

A cache that is down admits calls (see `background.outages`): a rate limit is not worth an outage.
Whatever it acquires too late is given back. Giving back never blocks the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Final

from native_api.background import executors
from native_api.forks import reset_after_fork
from native_api.limits import counters
from native_api.limits.counters import CounterLevels, Increment, Slot
from native_api.limits.counters.slot_renewal import slot_renewal

CACHE_TIMEOUT_SECONDS: Final = 1.0

RELEASE_TIMEOUT_SECONDS: Final = 0.1
"""How long a call waits for slots that other calls are just giving back."""

_threads: Final = executors.cache.lane()
_pending_releases: Final[set[Future[None]]] = set()

reset_after_fork(_pending_releases.clear)  # the child never sees the parent's releases end


async def acquire(
    call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
) -> CounterLevels | None:
    """Acquire all of these or none. Returns None if the cache is down."""
    # Looked at first: a release may end while the cache is called, but too late for its answer.
    pending = set(_pending_releases)
    levels = await _acquire(call_id, increments, slots)
    if (
        levels is not None
        and not levels.accepted
        and slots
        and await _wait_for_releases(pending | _pending_releases)
    ):
        levels = await _acquire(call_id, increments, slots)
    return levels


async def _acquire(
    call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
) -> CounterLevels | None:
    if not counters.is_shared():
        return counters.store().acquire(call_id, increments, slots)
    acquiring = _threads.submit(_acquire_from_store, call_id, increments, slots)

    def undo(acquired: Future[CounterLevels]) -> None:
        if acquired.cancelled() or acquired.exception() is not None:
            return
        if not acquired.result().accepted:
            return
        changes = [(increment.key, -increment.units) for increment in increments]
        give_back(call_id, changes, [slot.key for slot in slots])

    try:
        return await _threads.wait_for(CACHE_TIMEOUT_SECONDS, acquiring)
    except asyncio.CancelledError:
        acquiring.add_done_callback(undo)
        raise
    except Exception:  # each cache backend has its own exceptions
        acquiring.add_done_callback(undo)
        return None


def _acquire_from_store(
    call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
) -> CounterLevels:
    """Each thread has its own store."""
    return counters.store().acquire(call_id, increments, slots)


def give_back(call_id: str, changes: Sequence[tuple[str, int]], slot_keys: Sequence[str]) -> None:
    """Adjust counters and release slots; in a thread if the cache is shared."""
    if not changes and not slot_keys:
        return
    if slot_keys:
        slot_renewal.forget(call_id)
    if not counters.is_shared():
        _give_back(call_id, changes, slot_keys)
        return
    releasing = _threads.submit(_give_back, call_id, changes, slot_keys)
    _pending_releases.add(releasing)
    releasing.add_done_callback(_pending_releases.discard)


def _give_back(call_id: str, changes: Sequence[tuple[str, int]], slot_keys: Sequence[str]) -> None:
    if slot_keys:
        counters.store().release(call_id, slot_keys)
    if changes:
        counters.store().adjust(changes)


async def _wait_for_releases(releases: Collection[Future[None]]) -> bool:
    """Wait until these have ended; return whether there were any."""
    await asyncio.gather(
        *(_threads.wait_briefly(RELEASE_TIMEOUT_SECONDS, release) for release in releases)
    )
    return bool(releases)
