"""What one call holds of the limits that bind its caller: taken before each attempt, settled with
its records, given back where it fails.

Rules:
1. An attempt is covered before it is made, by what it sends and what its target costs. What the
   call holds is never less than its dearest attempt may use; a cheaper one takes nothing. The
   request and its slots are taken once.
2. Short windows and slots are taken first, all at once, then the budgets, all at once. If one has
   no room, nothing of it is held.
3. A call that is cancelled while it waits for the database gives back what the database reserves
   all the same.
4. Settling waits for nobody: budgets are settled by the recorder, with the records (`budgets`); the
   cache is told behind the answer.
5. A cache that fails or hangs lets calls in, with a warning: a rate is not worth an outage. A
   database that does not answer lets none in that a budget binds: money is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from native_api import background
from native_api.background.backoff import Backoff
from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, NativeError, RateLimited
from native_api.limits import budgets, counters, estimates, headers, rules
from native_api.limits.counters.slot_renewal import leases
from native_api.limits.estimates import Demand
from native_api.limits.headers import Room
from native_api.limits.rules import Bound
from native_api.limits.windows import EPOCH, Span, span
from native_api.logs import get_logger
from native_api.routing.attempts import CallPlan
from native_api.routing.route import Route
from native_api.types import EMPTY, Caller, ChatRequest
from native_api.upstream.call import PreparedRequest
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location
from native_api.usage.tokens import may_hold_media, sent_tokens

logger = get_logger("native_api.limits")

PATIENCE: Final = 1.0
"""Seconds that a call waits for the cache."""

DATABASE_PATIENCE: Final = 10.0
"""Seconds that a call waits for its budgets."""

GRACE: Final = 30.0
"""Seconds for which a reservation outlives the longest call: limits, files and a place at the
target may be waited for before its last attempt begins."""

RELEASE_PATIENCE: Final = 0.1
"""Seconds that a call waits for the slots of calls that have ended."""

_cache_threads: Final = background.Threads("native-api-counters", 8)
_outage: Final = Backoff(
    logger, "The cache cannot count (%s); limits of short windows are not enforced until it can."
)


@cache
def _database_threads() -> background.Threads:
    """One for SQLite, which has one writer: others would only wait for its lock, and wait long."""
    size = 1 if connections[location.database_alias()].vendor == "sqlite" else 4
    return background.Threads("native-api-budgets", size, keep_connections=True)


Wanted = Sequence[tuple[Bound, int]]
"""Units that an attempt may use of each limit that binds it."""


class Counted(NamedTuple):
    """Units that a call holds of a short window, under `key` in the cache."""

    bound: Bound
    window: Span
    key: str
    units: int


class Taken(NamedTuple):
    """What was just taken from short windows and slots, `counts` in all and `changes` beyond what
    the call held before."""

    counts: Sequence[Counted] = ()
    changes: Sequence[tuple[str, int]] = ()
    slots: Mapping[str, counters.Slot] = EMPTY
    rooms: Sequence[Room] = ()


class CallReservation:
    """What one call holds: enough for the dearest of the attempts that were covered. `headers` tell
    where the caller stands.

    `bind` comes first, then `reserve` for each target that is to be tried, and in the end `settle`.
    """

    def __init__(self, chat: ChatRequest, plan: CallPlan, record_id: UUID) -> None:
        self.headers: dict[str, str] = {}
        self.counts: dict[str, Counted] = {}
        self.slots: dict[str, counters.Slot] = {}
        self.reserved: budgets.Reserved = {}
        self.asked_database = False
        self.choices = 1
        self.member = record_id.hex
        self._chat, self._plan, self._record_id = chat, plan, record_id
        self._bounds: tuple[Bound, ...] = ()
        self._rooms: dict[str, Room] = {}
        self._refusals: dict[str, tuple[int, NativeError]] = {}
        self._unavailable: DatabaseUnavailable | None = None
        self._began = datetime.now(UTC)
        self._is_over = False
        self._lock = asyncio.Lock()

    async def bind(self, caller: Caller) -> None:
        """Find the limits that bind the caller. Raises DatabaseUnavailable if they cannot be
        read."""
        self._bounds = (await rules.acurrent()).bounds(caller)

    async def reserve(self, route: Route, prepared: PreparedRequest) -> None:
        """Hold what an attempt with this request may use, as far as it is more than the call holds;
        and count its tokens.

        Raises RateLimited, BudgetExceeded or DatabaseUnavailable, and then the call holds what it
        held before.
        """
        prepared.tokens = sent_tokens(prepared.body, prepared.content, may_hold_media(self._chat))
        demand = Demand(self._chat, route, prepared)
        self.choices = demand.answers
        if self._bounds:
            async with self._lock:  # attempts of a hedged call come at the same time
                await self._reserve_limits(demand)

    async def _reserve_limits(self, demand: Demand) -> None:
        wanted = [
            (bound, demand.of(bound.rule))
            for bound in self._bounds
            if bound.rule.covers(demand.names)
        ]
        self._refuse_again(wanted)
        try:
            taken = await self._take([want for want in wanted if want[0].rule.is_short])
            await self._reserve([want for want in wanted if not want[0].rule.is_short], taken)
        except (RateLimited, BudgetExceeded) as refusal:
            self._remember(refusal, wanted)
            raise
        self._keep(taken)

    def _refuse_again(self, wanted: Wanted) -> None:
        """What had no room for an attempt of this call has none for one that is as dear."""
        for bound, units in wanted:
            least, refusal = self._refusals.get(bound.counter, (0, None))
            if refusal is not None and units >= least:
                raise refusal

    def _remember(self, refusal: NativeError, wanted: Wanted) -> None:
        counter = (refusal.refused_by or {}).get("counter")
        self._refusals.update(
            {bound.counter: (units, refusal) for bound, units in wanted if bound.counter == counter}
        )

    def _keep(self, taken: Taken) -> None:
        self.counts.update({count.bound.counter: count for count in taken.counts})
        self.slots.update(taken.slots)
        self._rooms.update({room.bound.counter: room for room in taken.rooms})
        self.headers = headers.headers(self._rooms.values())
        if taken.slots and counters.are_shared():
            leases.hold(self.member, [slot.key for slot in self.slots.values()])

    def _give_back(self, taken: Taken) -> None:
        """Of an attempt that its budgets do not admit."""
        _give_back(
            self.member,
            [(key, -change) for key, change in taken.changes],
            [slot.key for slot in taken.slots.values()],
        )
        untaken = {room.bound.counter: room._replace(taken=False) for room in taken.rooms}
        self.headers = headers.headers({**untaken, **self._rooms}.values())

    def settle(self, entries: Sequence[UsageEntry], route: str) -> None:
        """The call is over. Puts on its own record, the first, what it takes from the budgets. From
        any thread; called once."""
        self._is_over = True
        own = entries[0]
        if own.status == "ok":
            estimates.learn(own.provider, own.provider_model, own.completion_tokens // self.choices)

        def used(bound: Bound, reserved: int) -> int:
            part = -(-reserved // len(entries))
            return sum(estimates.used(bound.rule, entry, route, part) for entry in entries)

        if self.asked_database:
            own.claims = {
                str(key): used(want.bound, want.units) for key, (want, _) in self.reserved.items()
            }
        changes = [
            (count.key, used(count.bound, count.units) - count.units)
            for count in self.counts.values()
        ]
        _give_back(
            self.member,
            [change for change in changes if change[1]],
            [slot.key for slot in self.slots.values()],
        )

    # --- short windows and slots -------------------------------------------------------------------------------

    async def _take(self, wanted: Wanted) -> Taken:
        """What is missing. Raises RateLimited, and then nothing was taken."""
        counted = [
            self._counted(bound, units)
            for bound, units in wanted
            if bound.rule.window and units > self._units_of(bound)
        ]
        slotted = [
            (bound, slot_of(bound))
            for bound, _ in wanted
            if not bound.rule.window and bound.counter not in self.slots
        ]
        now = datetime.now(UTC)
        counts, slots = (
            [self._missing(count, now) for count in counted],
            [slot for _, slot in slotted],
        )
        levels = await _levels(self.member, counts, slots) if counted or slotted else None
        if levels is None:
            return Taken()
        rooms = [
            self._room(*each, levels.taken)
            for each in zip(counted, counts, levels.counts, strict=True)
        ]
        places = zip(slotted, levels.slots, strict=True)
        rooms += [
            Room(bound, slot.most, held, 1, EPOCH, None, levels.taken)
            for (bound, slot), held in places
        ]
        if not levels.taken:
            raise headers.refusal(rooms)
        changes = [(count.key, count.wanted) for count in counts]
        return Taken(counted, changes, {bound.counter: slot for bound, slot in slotted}, rooms)

    def _units_of(self, bound: Bound) -> int:
        """Units held; fewer than none if the bound has not been asked."""
        held = self.counts.get(bound.counter)
        return -1 if held is None else held.units

    def _counted(self, bound: Bound, units: int) -> Counted:
        window = span(bound.rule.window, self._began, UTC)
        return Counted(bound, window, count_key(bound, window), units)

    def _missing(self, counted: Counted, now: datetime) -> counters.Count:
        bound = counted.bound
        missing = counted.units - max(0, self._units_of(bound))
        return counters.Count(
            counted.key, bound.rule.amount, missing, counted.window.seconds_left(now) or 0.0
        )

    def _room(self, counted: Counted, count: counters.Count, level: int, taken: bool) -> Room:
        """As it stood without this call."""
        held = level - counted.units + count.wanted
        return Room(
            counted.bound,
            count.most,
            held,
            counted.units,
            counted.window.start,
            count.seconds,
            taken,
        )

    # --- budgets -----------------------------------------------------------------------------------------------

    async def _reserve(self, wanted: Wanted, taken: Taken) -> None:
        """What is missing. If it cannot be had, `taken` is given back. Raises RateLimited,
        BudgetExceeded, DatabaseUnavailable."""
        try:
            wants = self._wants(wanted)
            reserved = await self._reserved(wants) if wants else {}
        except BaseException:
            self._give_back(taken)
            raise
        self.reserved.update(reserved)
        now = datetime.now(UTC)
        self._rooms.update(
            {
                want.bound.counter: headers.room_of(want, level, now)
                for want, level in reserved.values()
            }
        )

    def _wants(self, wanted: Wanted) -> list[budgets.Want]:
        held = {want.bound.counter: want.units for want, _ in self.reserved.values()}
        zone = timezone.get_default_timezone()
        missing = [(bound, units) for bound, units in wanted if units > held.get(bound.counter, -1)]
        return [
            budgets.Want(bound, span(bound.rule.window, self._began, zone), units)
            for bound, units in missing
        ]

    async def _reserved(self, wants: Sequence[budgets.Want]) -> budgets.Reserved:
        if self._unavailable is not None:
            raise self._unavailable
        self.asked_database = True
        threads, held = (
            _database_threads(),
            {key: want.units for key, (want, _) in self.reserved.items()},
        )
        call = threads.submit(budgets.reserve, self._record_id, wants, self._expires_at, held)
        try:
            return await threads.wait(DATABASE_PATIENCE, call)
        except budgets.NoRoom as refusal:
            self.asked_database = bool(self.reserved)
            raise headers.over_budget(refusal, datetime.now(UTC)) from None
        except (DatabaseError, background.HangingCall) as error:
            logger.warning(
                "A call was refused, since its budgets cannot be read (%s).", type(error).__name__
            )
            call.add_done_callback(self._release_late)
            told = "The budgets cannot be read right now. Try again shortly."
            self._unavailable = DatabaseUnavailable(told, headers={"retry-after": "5"})
            raise self._unavailable from None
        except asyncio.CancelledError:
            call.add_done_callback(self._release_late)
            raise

    @cached_property
    def _expires_at(self) -> datetime:
        """After the end of the last attempt that may still be made, at whatever target."""
        plan = self._plan
        routes = [plan.route, *plan.fallbacks(), *plan.context_fallbacks()]
        longest = max(
            (target.timeouts.total for route in routes for target in route.targets), default=0.0
        )
        return datetime.now(UTC) + timedelta(seconds=plan.attempt_limits.seconds + longest + GRACE)

    def _release_late(self, reserving: Future[Any]) -> None:
        """Nobody waited for this any more. A call that goes on gives it back with all that it
        holds, at its end."""
        if reserving.cancelled() or reserving.exception() is not None:
            return
        if self._is_over or not self.reserved:
            _database_threads().submit(budgets.release, self._record_id)


# --- the cache -----------------------------------------------------------------------------------------------------


async def _levels(
    member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]
) -> counters.Levels | None:
    """Take these. None if the cache cannot say."""
    ending = set(
        _ending
    )  # looked at before: what ends while the cache is asked may have ended too late for the answer
    levels = await _asked(member, counts, slots)
    if levels is not None and not levels.taken and slots and await _have_ended(ending | _ending):
        levels = await _asked(member, counts, slots)
    return levels


def count_key(bound: Bound, window: Span) -> str:
    return f"native_api.count.{bound.counter}.{int(window.start.timestamp())}"


def slot_of(bound: Bound) -> counters.Slot:
    return counters.Slot(f"native_api.slots.{bound.counter}", bound.rule.amount)


async def _asked(
    member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]
) -> counters.Levels | None:
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


def _taken(
    member: str, counts: Sequence[counters.Count], slots: Sequence[counters.Slot]
) -> counters.Levels:
    return counters.store().take(member, counts, slots)


def _undo(
    taken: Future[counters.Levels],
    member: str,
    counts: Sequence[counters.Count],
    slots: Sequence[counters.Slot],
) -> None:
    if not taken.cancelled() and taken.exception() is None and taken.result().taken:
        _give_back(
            member, [(count.key, -count.wanted) for count in counts], [slot.key for slot in slots]
        )


_ending: Final[set[Future[None]]] = set()
"""What is being given back."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=_ending.clear
    )  # what the parent gives back will not be seen to end here


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
