"""What a client is told of limits: rate-limit headers, refusals, and where it stands. Of money that
others share, nothing but that it is used up.

Headers are named as OpenAI names them:
https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import ceil, inf
from typing import Any, Final, NamedTuple

from native_api.exceptions import BudgetExceeded, NativeError, RateLimited
from native_api.limits.budgets import Level, NoRoom, Want
from native_api.limits.rules import Bound, Rule
from native_api.limits.windows import Span
from native_api.models.fields import MONEY_PLACES
from native_api.routing.retry_policy import retry_headers

BUSY_SECONDS: Final = 1
"""`retry-after` where too many requests run at the same time."""

KINDS: Final = {
    "requests": "requests",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "tokens": "tokens",
}
"""The metrics that have headers, and the word in them."""

SHARED: Final = frozenset({"everyone", "group"})


def is_secret(rule: Rule) -> bool:
    """What a site or a group may spend, and did, is not everybody's business."""
    return rule.metric == "cost" and rule.subject in SHARED


class Room(NamedTuple):
    """How a limit stood when `wanted` more was asked for, and whether that was taken. `seconds` are
    left of its window; None: it has none, or no end."""

    bound: Bound
    most: int
    held: int
    wanted: int
    starts_at: datetime
    seconds: float | None
    taken: bool = False

    @property
    def is_there(self) -> bool:
        return self.held + self.wanted <= self.most

    @property
    def is_too_much(self) -> bool:
        """There never is room for that."""
        return self.wanted > self.most

    @property
    def left(self) -> int:
        return max(0, self.most - self.held - (self.wanted if self.taken else 0))


def room_of(want: Want, level: Level, now: datetime) -> Room:
    """After reserving."""
    held = level.used + level.reserved - want.units
    return Room(
        want.bound,
        want.bound.rule.amount,
        held,
        want.units,
        want.span.start,
        want.span.seconds_left(now),
        taken=True,
    )


# --- headers -------------------------------------------------------------------------------------------------------


def headers(rooms: Iterable[Room]) -> dict[str, str]:
    """Of the tightest limit on requests, and on tokens."""
    told: dict[str, str] = {}
    tightest: dict[str, Room] = {}
    for room in rooms:
        kind = KINDS.get(room.bound.rule.metric)
        if kind and (kind not in tightest or room.left < tightest[kind].left):
            tightest[kind] = room
    for kind, room in tightest.items():
        told[f"x-ratelimit-limit-{kind}"] = str(room.most)
        told[f"x-ratelimit-remaining-{kind}"] = str(room.left)
        if room.seconds is not None:
            told[f"x-ratelimit-reset-{kind}"] = duration(ceil(room.seconds))
    return told


def merged(told: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The rate-limit headers of both; of two that tell of the same kind, those with less left."""
    result = dict(told)
    for kind in ("requests", "tokens"):
        name = f"x-ratelimit-remaining-{kind}"
        known = told.get(name, "")
        if name in more and not (known.isdigit() and int(known) <= int(more[name])):
            for part in (f"x-ratelimit-{part}-{kind}" for part in ("limit", "remaining", "reset")):
                result.pop(part, None)
                if part in more:
                    result[part] = more[part]
    return result


def duration(seconds: int) -> str:
    """`6m0s`, as in OpenAI's headers."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
    )


# --- refusals ------------------------------------------------------------------------------------------------------


def refusal(rooms: Iterable[Room]) -> NativeError:
    """429, for the limit that has no room for longest."""
    rooms = list(rooms)
    room = max(
        (room for room in rooms if not room.is_there),
        key=lambda room: inf if room.is_too_much else room.seconds or 0.0,
    )
    error = _refusal(room)
    error.headers = {**headers(rooms), **error.headers}
    return error


def over_budget(refused: NoRoom, now: datetime) -> NativeError:
    """402 where the limit is on cost, else 429."""
    room = _untaken(refused.want, refused.level, now)
    error = (
        _too_dear(room, refused.want.span) if room.bound.rule.metric == "cost" else _refusal(room)
    )
    error.headers = {
        **headers(_untaken(want, level, now) for want, level in refused.known),
        **error.headers,
    }
    return error


def _untaken(want: Want, level: Level, now: datetime) -> Room:
    held = level.used + level.reserved - (want.held or 0)
    return Room(
        want.bound,
        want.bound.rule.amount,
        held,
        want.units,
        want.span.start,
        want.span.seconds_left(now),
    )


def _too_dear(room: Room, span: Span) -> NativeError:
    rule = room.bound.rule
    until = f" It is renewed at {span.end:%Y-%m-%d %H:%M} UTC." if span.end else ""
    what = "The budget" if is_secret(rule) else f"The budget of {amount(rule)}"
    told = f"{what} {_of(rule)} has no room for this call, which may cost up to {dollars(room.wanted)}.{until}"
    return _marked(BudgetExceeded(told, headers={"x-should-retry": "false"}), room)


def _refusal(room: Room) -> NativeError:
    rule = room.bound.rule
    if rule.metric == "concurrent_requests":
        told = f"Too many requests at a time: the limit {_of(rule)} is {rule.amount}. Try again when one has ended."
        return _marked(RateLimited(told, headers={"retry-after": str(BUSY_SECONDS)}), room)
    what = f"The limit of {amount(rule)} {_of(rule)}"
    if room.is_too_much or room.seconds is None:
        never = "never admits" if room.is_too_much else "has no room for"
        return _marked(
            RateLimited(
                f"{what} {never} this request, which may use {room.wanted}.",
                headers={"x-should-retry": "false"},
            ),
            room,
        )
    seconds = max(1, ceil(room.seconds))
    return _marked(
        RateLimited(
            f"{what} is reached. Try again in {seconds} s.", headers=retry_headers(seconds)
        ),
        room,
    )


def _marked(error: NativeError, room: Room) -> NativeError:
    """With the limit that refused, for the record."""
    error.refused_by = described(room)
    return error


def _of(rule: Rule) -> str:
    """Whose limit it is, and of which models."""
    whose = {"everyone": "of this site", "group": "of a group", "key": "of this key"}.get(
        rule.subject, "of this user"
    )
    return f"{whose} for models {rule.pattern}" if rule.pattern else whose


def amount(rule: Rule) -> str:
    """`20 requests a minute`, `12.5 USD a month`."""
    per = {"": "", "hour": " an hour", "lifetime": " in all"}.get(rule.window, f" a {rule.window}")
    if rule.metric == "cost":
        return f"{dollars(rule.amount)}{per}"
    return f"{rule.amount} {rule.metric.replace('_', ' ')}{per}"


def dollars(units: int) -> str:
    return f"{number('cost', units)} USD"


def number(metric: str, units: int) -> str:
    """Units as people write them."""
    return (
        f"{Decimal(units).scaleb(-MONEY_PLACES).normalize():f}" if metric == "cost" else str(units)
    )


def described(room: Room) -> dict[str, Any]:
    """A limit, for the record of the call that it refused."""
    rule = room.bound.rule
    return {
        "subject": rule.shown,
        "metric": rule.metric,
        "window": rule.window,
        "models": rule.pattern,
        "amount": number(rule.metric, rule.amount),
        "counter": room.bound.counter,
        "starts_at": room.starts_at.isoformat(),
    }
