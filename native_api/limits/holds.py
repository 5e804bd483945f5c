"""What one call holds of the limits that bind its caller: taken before the call, settled with its records, given back where it fails.

Rules:
1. Short windows and slots are taken first, all at once, then the budgets, all at once. Where one has no room nothing is held.
2. A call that is cancelled while it waits for the database gives back what the database reserves all the same.
3. Settling waits for nobody: budgets are settled by the recorder, with the records (`budgets`); the cache is told behind the answer.
4. A cache that fails or hangs lets calls in, with a warning: a rate is not worth an outage. A database that does not answer lets none
   in that a budget binds: money is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from native_api import bridge
from native_api.engine.client import Plan
from native_api.exceptions import DatabaseUnavailable
from native_api.limits import answers, budgets, counters, estimates, rules
from native_api.limits.answers import Room
from native_api.limits.leases import leases
from native_api.limits.rules import Bound
from native_api.limits.windows import EPOCH, Span, span
from native_api.logs import get_logger
from native_api.outages import Outage
from native_api.types import Caller, ChatRequest
from native_api.usage import folder
from native_api.usage.entry import UsageEntry

logger = get_logger("native_api.limits")

PATIENCE: Final = 1.0
"""Seconds that a call waits for the cache."""

DATABASE_PATIENCE: Final = 10.0
"""Seconds that a call waits for its budgets."""

GRACE: Final = 10.0
"""Seconds for which a reservation outlives the longest call."""

RELEASE_PATIENCE: Final = 0.1
"""Seconds that a call waits for the slots of calls that have ended."""

_cache_threads: Final = bridge.Threads("native-api-counters", 8)
_outage: Final = Outage(logger, "The cache cannot count (%s); limits of short windows are not enforced until it can.")


@cache
def _database_threads() -> bridge.Threads:
    """One for SQLite, which has one writer: others would only wait for its lock, and wait long."""
    size = 1 if connections[folder.database()].vendor == "sqlite" else 4
    return bridge.Threads("native-api-budgets", size, keep_connections=True)


class Hold:
    """What one call holds. `headers` tell where the caller stands; `choices` is the number of answers that it asks for."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.rooms: list[Room] = []
        self.member = ""
        self.counts: list[tuple[Bound, counters.Count]] = []
        self.slots: list[counters.Slot] = []
        self.reserved: budgets.Reserved = {}
        self.asked_database = False
        self.choices = 1

    def settle(self, entries: Sequence[UsageEntry], route: str) -> None:
        """The call is over. Puts on its own record, the first, what it takes from the budgets. From any thread; called once."""
        own = entries[0]
        if own.status == "ok":
            estimates.learn(own.provider, own.provider_model, own.completion_tokens // self.choices)

        def used(bound: Bound, reserved: int) -> int:
            part = -(-reserved // len(entries))
            return sum(estimates.used(bound.rule, entry, route, part) for entry in entries)

        if self.asked_database:
            own.claims = {str(key): used(want.bound, want.units) for key, (want, _) in self.reserved.items()}
        changes = [(count.key, used(bound, count.wanted) - count.wanted) for bound, count in self.counts]
        _give_back(self.member, [change for change in changes if change[1]], [slot.key for slot in self.slots])

    def cancel(self) -> None:
        """Give back what short windows and slots gave: the call is not made."""
        _give_back(self.member, [(count.key, -count.wanted) for _, count in self.counts], [slot.key for slot in self.slots])
        self.counts, self.slots = [], []
        self.headers = answers.headers(room._replace(taken=False) for room in self.rooms)


async def reserve(chat: ChatRequest, caller: Caller, plan: Plan, record_id: UUID, hold: Hold) -> None:
    """Take what the call may need into `hold`. Raises RateLimited, BudgetExceeded, DatabaseUnavailable, and then nothing is held."""
    bounds = (await rules.acurrent()).bounds(caller)
    hold.choices = chat.get("n") or 1
    if not bounds:
        return
    guess = estimates.Guess(chat, plan)
    bounds = tuple(bound for bound in bounds if not bound.rule.pattern or bound.rule.covers(guess.names))
    now = datetime.now(UTC)
    hold.member = record_id.hex
    await _take(hold, [bound for bound in bounds if bound.rule.is_short], guess, now)
    try:
        await _reserve(hold, [bound for bound in bounds if not bound.rule.is_short], guess, plan, record_id, now)
    except BaseException:
        hold.cancel()
        raise


# --- short windows and slots ---------------------------------------------------------------------------------------


async def _take(hold: Hold, bounds: Sequence[Bound], guess: estimates.Guess, now: datetime) -> None:
    if not bounds:
        return
    spans = {bound.counter: span(bound.rule.window, now, UTC) for bound in bounds if bound.rule.window}
    counted = [(bound, _count(bound, guess, spans[bound.counter], now)) for bound in bounds if bound.rule.window]
    slotted = [(bound, slot_of(bound)) for bound in bounds if not bound.rule.window]
    counts, slots = [count for _, count in counted], [slot for _, slot in slotted]
    ending = set(_ending)  # looked at before: what ends while the cache is asked may have ended too late for the answer
    levels = await _asked(hold.member, counts, slots)
    if levels is not None and not levels.taken and slots and await _have_ended(ending | _ending):
        levels = await _asked(hold.member, counts, slots)
    if levels is None:
        return
    rooms = [
        Room(bound, count.most, held, count.wanted, spans[bound.counter].start, count.seconds, levels.taken)
        for (bound, count), held in zip(counted, levels.counts, strict=True)
    ]
    rooms += [Room(bound, slot.most, held, 1, EPOCH, None, levels.taken) for (bound, slot), held in zip(slotted, levels.slots, strict=True)]
    if not levels.taken:
        raise answers.refusal(rooms)
    hold.headers, hold.rooms = answers.headers(rooms), rooms
    hold.counts, hold.slots = counted, slots
    if slots and counters.are_shared():
        leases.hold(hold.member, [slot.key for slot in slots])


def _count(bound: Bound, guess: estimates.Guess, window: Span, now: datetime) -> counters.Count:
    return counters.Count(count_key(bound, window), bound.rule.amount, guess.of(bound.rule), window.seconds_left(now) or 0.0)


def count_key(bound: Bound, window: Span) -> str:
    return f"native_api.count.{bound.counter}.{int(window.start.timestamp())}"


def slot_of(bound: Bound) -> counters.Slot:
    return counters.Slot(f"native_api.slots.{bound.counter}", bound.rule.amount)


async def _asked(member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]) -> counters.Levels | None:
    """None where the cache cannot say."""
    if not counters.are_shared():
        return counters.store().take(member, counts, slots)
    if _outage.is_on:
        return None
    taking = _cache_threads.submit(_taken, member, counts, slots)
    try:
        return await _cache_threads.wait(PATIENCE, taking)
    except asyncio.CancelledError:
        taking.add_done_callback(lambda taken: _undo(taken, member, counts, slots))
        raise
    except Exception as error:  # each cache backend has exceptions of its own
        _outage.begin(error)
        taking.add_done_callback(lambda taken: _undo(taken, member, counts, slots))
        return None


def _taken(member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]) -> counters.Levels:
    return counters.store().take(member, counts, slots)


def _undo(taken: Future[counters.Levels], member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]) -> None:
    if not taken.cancelled() and taken.exception() is None and taken.result().taken:
        _give_back(member, [(count.key, -count.wanted) for count in counts], [slot.key for slot in slots])


_ending: Final[set[Future[None]]] = set()
"""What is being given back."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ending.clear)  # what the parent gives back will not be seen to end here


def _give_back(member: str, changes: Sequence[tuple[str, int]], slots: Sequence[str]) -> None:
    if not changes and not slots:
        return
    if not counters.are_shared():
        _given_back(member, changes, slots)
        return
    call = _cache_threads.submit(_given_back, member, changes, slots)
    _ending.add(call)
    call.add_done_callback(_ending.discard)


def _given_back(member: str, changes: Sequence[tuple[str, int]], slots: Sequence[str]) -> None:
    try:
        if slots:
            leases.leave(member, slots)
        if changes:
            counters.store().add(changes)
    except Exception as error:  # each cache backend has exceptions of its own
        _outage.begin(error)


async def _have_ended(calls: Collection[Future[None]]) -> bool:
    """Wait until what this process is giving back is free; whether there was anything."""
    if calls:
        await asyncio.wait([asyncio.wrap_future(call) for call in calls], timeout=RELEASE_PATIENCE)
    return bool(calls)


# --- budgets -------------------------------------------------------------------------------------------------------


async def _reserve(hold: Hold, bounds: Sequence[Bound], guess: estimates.Guess, plan: Plan, record_id: UUID, now: datetime) -> None:
    if not bounds:
        return
    zone = timezone.get_default_timezone()
    wants = [budgets.Want(bound, span(bound.rule.window, now, zone), guess.of(bound.rule)) for bound in bounds]
    longest = max((target.timeouts.total for target in guess.targets), default=0.0)
    expires_at = now + timedelta(seconds=plan.budget.seconds + longest + GRACE)
    hold.asked_database = True
    threads = _database_threads()
    call = threads.submit(budgets.reserve, record_id, wants, expires_at)
    try:
        hold.reserved = await threads.wait(DATABASE_PATIENCE, call)
    except budgets.NoRoom as refusal:
        hold.asked_database = False
        raise answers.over_budget(refusal, now) from None
    except (DatabaseError, bridge.HangingCall) as error:
        logger.warning("A call was refused, since its budgets cannot be read (%s).", type(error).__name__)
        call.add_done_callback(lambda done: _release_late(done, record_id))
        raise DatabaseUnavailable("The budgets cannot be read right now. Try again shortly.", headers={"retry-after": "5"}) from None
    except asyncio.CancelledError:
        call.add_done_callback(lambda done: _release_late(done, record_id))
        raise
    rooms = [answers.room_of(want, level, now) for want, level in hold.reserved.values()]
    hold.headers = answers.merged(hold.headers, answers.headers(rooms))


def _release_late(reserving: Future[Any], record_id: UUID) -> None:
    """The call has ended before its budgets were reserved; now they are."""
    if not reserving.cancelled() and reserving.exception() is None:
        _database_threads().submit(budgets.release, record_id)
