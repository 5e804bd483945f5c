"""What one call holds of short windows and slots, which are counted in the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from native_api.limits import counters
from native_api.limits.counters import Increment, Slot, client
from native_api.limits.counters.slot_renewal import slot_renewal
from native_api.limits.errors import rate_limit_error
from native_api.limits.headers import LimitStatus
from native_api.limits.rules import AppliedRule
from native_api.limits.windows import EPOCH, WindowSpan, window_span
from native_api.types.config import EMPTY_MAPPING

Amounts = Sequence[tuple[AppliedRule, int]]
"""Units that an attempt may use of each limit that applies to it."""

UsedAmount = Callable[[AppliedRule, int], int]
"""Called with an applied rule and the units held; returns the units that the call used."""


class HeldCount(NamedTuple):
    """Units that a call holds of a short window, in the counter `key`."""

    applied: AppliedRule
    span: WindowSpan
    key: str
    units: int


class Acquired(NamedTuple):
    """What an attempt has just acquired.

    `counts` are what the call then holds in all, `changes` what was added to it: (key, units).
    """

    counts: Sequence[HeldCount] = ()
    changes: Sequence[tuple[str, int]] = ()
    slots: Mapping[str, Slot] = EMPTY_MAPPING
    statuses: Sequence[LimitStatus] = ()


NOTHING_ACQUIRED = Acquired()


def counter_key(applied: AppliedRule, span: WindowSpan) -> str:
    return f"native_api.count.{applied.counter}.{int(span.start.timestamp())}"


def slot_for(applied: AppliedRule) -> Slot:
    return Slot(f"native_api.slots.{applied.counter}", applied.rule.amount)


class CacheReservation:
    """`acquire` for an attempt, then `keep` or `give_back` what it acquired; `settle` at the end.

    `counts` and `slots` are what the call holds, by counter.
    """

    def __init__(self, call_id: str, began_at: datetime) -> None:
        self.call_id = call_id
        self.counts: dict[str, HeldCount] = {}
        self.slots: dict[str, Slot] = {}
        self._began_at = began_at

    async def acquire(self, amounts: Amounts) -> Acquired:
        """Acquire what the call does not hold yet. Raises RateLimited, and then nothing was
        acquired."""
        counts = [
            self._count_for(applied, units)
            for applied, units in amounts
            if applied.rule.window and units > self._held_units(applied)
        ]
        slotted = [
            applied
            for applied, _ in amounts
            if not applied.rule.window and applied.counter not in self.slots
        ]
        if not counts and not slotted:
            return NOTHING_ACQUIRED
        now = datetime.now(UTC)
        increments = [self._increment_for(count, now) for count in counts]
        slots = [slot_for(applied) for applied in slotted]
        levels = await client.acquire(self.call_id, increments, slots)
        if levels is None:
            return NOTHING_ACQUIRED
        statuses = [
            *map(_count_status, counts, increments, levels.counts),
            *map(_slot_status, slotted, slots, levels.slots),
        ]
        if not levels.accepted:
            raise rate_limit_error(statuses)
        return Acquired(
            counts,
            [(increment.key, increment.units) for increment in increments],
            {applied.counter: slot for applied, slot in zip(slotted, slots, strict=True)},
            [status._replace(is_reserved=True) for status in statuses],
        )

    def _held_units(self, applied: AppliedRule) -> int:
        """Return -1 if the call has no count there, which differs from a count of 0."""
        count = self.counts.get(applied.counter)
        return -1 if count is None else count.units

    def _count_for(self, applied: AppliedRule, units: int) -> HeldCount:
        span = window_span(applied.rule.window, self._began_at, UTC)
        return HeldCount(applied, span, counter_key(applied, span), units)

    def _increment_for(self, count: HeldCount, now: datetime) -> Increment:
        missing = count.units - max(0, self._held_units(count.applied))
        seconds_left = count.span.seconds_left(now) or 0.0
        return Increment(count.key, count.applied.rule.amount, missing, seconds_left)

    def keep(self, acquired: Acquired) -> None:
        self.counts.update({count.applied.counter: count for count in acquired.counts})
        self.slots.update(acquired.slots)
        if acquired.slots and counters.is_shared():
            slot_renewal.hold(self.call_id, [slot.key for slot in self.slots.values()])

    def give_back(self, acquired: Acquired) -> None:
        """Undo what was acquired for an attempt that is not made."""
        client.give_back(
            self.call_id,
            [(key, -units) for key, units in acquired.changes],
            [slot.key for slot in acquired.slots.values()],
        )

    def settle(self, used_amount: UsedAmount) -> None:
        """Correct the counters to what the call used, and free its slots, also if what it used
        cannot be computed."""
        changes: list[tuple[str, int]] = []
        try:
            changes += [
                (count.key, used_amount(count.applied, count.units) - count.units)
                for count in self.counts.values()
            ]
        finally:
            client.give_back(
                self.call_id,
                [change for change in changes if change[1]],
                [slot.key for slot in self.slots.values()],
            )


def _count_status(count: HeldCount, increment: Increment, level: int) -> LimitStatus:
    """The status without what this call holds already."""
    counted_before = count.units - increment.units
    return LimitStatus(
        count.applied,
        increment.maximum,
        level - counted_before,
        count.units,
        count.span.start,
        increment.seconds,
    )


def _slot_status(applied: AppliedRule, slot: Slot, level: int) -> LimitStatus:
    return LimitStatus(applied, slot.maximum, level, 1, EPOCH, None)
