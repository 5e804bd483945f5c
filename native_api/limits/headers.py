"""Rate-limit headers: `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`,
`x-ratelimit-reset-requests`, and the same for `-tokens`, `-input-tokens` and `-output-tokens`.

They show how the limits of a call stand, and are named as OpenAI names them, which has no limits
on input or output alone:
https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (read 2026-11).
`throttling` makes those of throttle rates; `merge_headers` keeps the tighter ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import ceil
from typing import Final, NamedTuple

from native_api.limits.budgets import BudgetLevel, BudgetRequest
from native_api.limits.rules import AppliedRule

HEADER_KINDS: Final = {
    "requests": ("requests",),
    "tokens": ("tokens",),
    "input_tokens": ("tokens", "input-tokens"),
    "output_tokens": ("tokens", "output-tokens"),
}
"""The metrics that have headers, and the words in their names."""
KINDS: Final = tuple(dict.fromkeys(kind for kinds in HEADER_KINDS.values() for kind in kinds))


class LimitStatus(NamedTuple):
    """The status of a limit when `requested` more units were asked for; `level` units were counted
    already.

    `seconds_left` until its window ends; None if the limit has no window or the window no end.
    `is_reserved` says whether the requested units were reserved.
    """

    applied: AppliedRule
    limit: int
    level: int
    requested: int
    starts_at: datetime
    seconds_left: float | None
    is_reserved: bool = False

    @property
    def is_sufficient(self) -> bool:
        return self.level + self.requested <= self.limit

    @property
    def is_impossible(self) -> bool:
        """Whether the request is larger than the whole limit."""
        return self.requested > self.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.level - (self.requested if self.is_reserved else 0))


def budget_status(
    request: BudgetRequest, level: BudgetLevel, now: datetime, is_reserved: bool
) -> LimitStatus:
    """Return the status of a budget. Its `level` includes what the call has reserved of it."""
    reserved_by_call = request.units if is_reserved else request.reserved or 0
    return LimitStatus(
        request.applied,
        request.applied.rule.amount,
        level.used + level.reserved - reserved_by_call,
        request.units,
        request.span.start,
        request.span.seconds_left(now),
        is_reserved,
    )


def rate_limit_headers(statuses: Iterable[LimitStatus]) -> dict[str, str]:
    """Return the headers for the tightest limit on requests and the tightest ones on tokens."""
    tightest: dict[str, LimitStatus] = {}
    for status in statuses:
        for kind in HEADER_KINDS.get(status.applied.rule.metric, ()):
            if kind not in tightest or status.remaining < tightest[kind].remaining:
                tightest[kind] = status
    headers: dict[str, str] = {}
    for kind, status in tightest.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(status.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(status.remaining)
        if status.seconds_left is not None:
            headers[f"x-ratelimit-reset-{kind}"] = format_duration(ceil(status.seconds_left))
    return headers


def merge_headers(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return the rate-limit headers of both; for each kind, those with less remaining."""
    merged = dict(first)
    for kind in KINDS:
        name = f"x-ratelimit-remaining-{kind}"
        remaining = first.get(name, "")
        if name in second and not (remaining.isdigit() and int(remaining) <= int(second[name])):
            for part in ("limit", "remaining", "reset"):
                header = f"x-ratelimit-{part}-{kind}"
                merged.pop(header, None)
                if header in second:
                    merged[header] = second[header]
    return merged


def format_duration(seconds: int) -> str:
    """Return `6m0s`, as in OpenAI's headers."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
