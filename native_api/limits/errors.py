"""The errors that a caller gets if a limit or a budget refuses a call: 429, or 402 for cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import ceil, inf
from typing import Any, Final

from native_api.exceptions import BudgetExceeded, NativeError, RateLimited
from native_api.limits.amounts import (
    format_amount,
    format_dollars,
    format_scope,
    format_units,
    is_confidential,
)
from native_api.limits.budgets import BudgetExhausted
from native_api.limits.headers import LimitStatus, budget_status, rate_limit_headers
from native_api.limits.windows import WindowSpan
from native_api.routing.retry_policy import retry_headers

SLOT_RETRY_SECONDS: Final = 1
"""`retry-after` if too many requests run at the same time."""

NO_RETRY: Final = {"x-should-retry": "false"}

SMALLER_CALL: Final = "Set a lower limit of output tokens, send less, or use a cheaper model."
FEWER_TOKENS: Final = "Set a lower limit of output tokens or send less."


def rate_limit_error(statuses: Iterable[LimitStatus]) -> NativeError:
    """Return a 429 for the limit that takes longest to admit the request."""
    statuses = list(statuses)
    refusing = max(
        (status for status in statuses if not status.is_sufficient),
        key=lambda status: inf if status.is_impossible else status.seconds_left or 0.0,
    )
    return _with_headers(_rate_limited(refusing), statuses)


def budget_error(exhausted: BudgetExhausted, now: datetime) -> NativeError:
    """Return a 402 if the limit is on cost, else a 429."""
    status = budget_status(exhausted.request, exhausted.level, now, is_reserved=False)
    error = (
        _budget_exceeded(status, exhausted.request.span)
        if status.applied.rule.metric == "cost"
        else _rate_limited(status)
    )
    return _with_headers(
        error,
        [
            budget_status(request, level, now, is_reserved=False)
            for request, level in exhausted.levels
        ],
    )


def _with_headers(error: NativeError, statuses: Iterable[LimitStatus]) -> NativeError:
    error.headers = {**rate_limit_headers(statuses), **error.headers}
    return error


def _budget_exceeded(status: LimitStatus, span: WindowSpan) -> NativeError:
    message = _describe_budget(status)
    if span.end and not (status.is_impossible and not is_confidential(status.applied.rule)):
        message = f"{message} The budget resets at {span.end:%Y-%m-%d %H:%M} UTC."
    return _with_limit(BudgetExceeded(message, headers=NO_RETRY), status)


def _describe_budget(status: LimitStatus) -> str:
    """Why the budget does not admit the call: it is too small for it, used up, or nearly so.

    Of a confidential budget the message does not say which, because calls with several `max_tokens`
    would then reveal its amount.
    """
    rule, costs = status.applied.rule, format_dollars(status.requested)
    scope = format_scope(rule)
    if is_confidential(rule):
        return f"This call would exceed the budget {scope}. It may cost up to {costs}."
    budget = f"budget of {format_amount(rule)} {scope}"
    if status.is_impossible:
        return f"This call may cost up to {costs}, more than the whole {budget}. {SMALLER_CALL}"
    if not status.remaining:
        return f"The {budget} is used up."
    return (
        f"This call may cost up to {costs}, but only {format_dollars(status.remaining)} of the "
        f"{budget} are left. {SMALLER_CALL}"
    )


def _rate_limited(status: LimitStatus) -> NativeError:
    rule = status.applied.rule
    if rule.metric == "concurrent_requests":
        message = (
            f"Too many concurrent requests: the limit {format_scope(rule)} is {rule.amount}. "
            "Try again when one has finished."
        )
        headers = {"retry-after": str(SLOT_RETRY_SECONDS)}
    elif status.is_impossible or status.seconds_left is None:
        message = _describe_lasting_refusal(status)
        headers = NO_RETRY
    else:
        seconds = max(1, ceil(status.seconds_left))
        message = (
            f"The limit of {format_amount(rule)} {format_scope(rule)} has been reached. "
            f"Try again in {seconds} s."
        )
        headers = retry_headers(seconds)
    return _with_limit(RateLimited(message, headers=headers), status)


def _describe_lasting_refusal(status: LimitStatus) -> str:
    """Why waiting does not help: the limit is too small for the request, or has no end."""
    rule = status.applied.rule
    limit = f"the limit of {format_amount(rule)} {format_scope(rule)}"
    verb = "is larger than" if status.is_impossible else "would exceed"
    if rule.metric == "requests":
        return f"This request {verb} {limit}. An operator of the site can raise it."
    return f"This request {verb} {limit}. It may use {status.requested}. {FEWER_TOKENS}"


def _with_limit(error: NativeError, status: LimitStatus) -> NativeError:
    """Attach the limit that refused the call, for its usage record."""
    error.refused_by = describe_limit(status)
    return error


def describe_limit(status: LimitStatus) -> dict[str, Any]:
    """Return the limit as the usage record of a refused call describes it."""
    rule = status.applied.rule
    return {
        "subject": rule.label,
        "metric": rule.metric,
        "window": rule.window,
        "models": rule.pattern,
        "amount": format_units(rule.metric, rule.amount),
        "counter": status.applied.counter,
        "starts_at": status.starts_at.isoformat(),
    }
