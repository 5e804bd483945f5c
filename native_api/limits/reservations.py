"""What one call holds of the limits that apply to its caller: reserved before each attempt, settled
with its usage records, given back if it fails.

Rules:
1. Each attempt is reserved for before it is made, by what it sends and what its target costs. The
   call always holds at least what its most expensive attempt may use; a cheaper attempt adds
   nothing. The request and its slots are counted once.
2. Short windows and slots come first, all at once; then the budgets, all at once. If one of them
   refuses, the attempt holds nothing.
3. A call that is cancelled while it waits for the database gives back what the database reserves
   nevertheless.
4. Settling never waits. The recorder settles budgets when it writes the records (`settlement`); the
   cache is updated after the answer.
5. A cache that fails or hangs admits calls, with a warning: a rate limit is not worth an outage. A
   database that does not answer refuses all calls that a budget applies to: money is at stake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseError
from django.utils import timezone

from native_api.background import CallTimeout, ResourceUnavailable, executors
from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, NativeError, RateLimited
from native_api.limits import budgets, estimates, rules, settlement
from native_api.limits.budgets import BudgetExhausted, BudgetRequest, ReservedBudgets
from native_api.limits.cache_reservation import Acquired, Amounts, CacheReservation
from native_api.limits.errors import budget_error
from native_api.limits.estimates import CallEstimate
from native_api.limits.headers import LimitStatus, budget_status, rate_limit_headers
from native_api.limits.rules import REQUEST_METRICS, AppliedRule, Rule
from native_api.limits.windows import window_span
from native_api.logs import get_logger
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import Route
from native_api.types import Caller
from native_api.upstream.prepared_request import PreparedRequest
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location

logger = get_logger("native_api.limits")

DATABASE_TIMEOUT_SECONDS: Final = 10.0
"""How long a call waits for its budgets."""

EXPIRY_GRACE_SECONDS: Final = 30.0
"""How long a reservation outlives the longest call: it may wait for limits, files and a slot at the
target before its last attempt begins."""


@cache
def _threads() -> executors.Lane:
    return executors.writing_lane(location.database_alias())


class CallReservation:
    """What one call holds: enough for the most expensive of its attempts so far.

    Call `load_rules` first, then `reserve` for each target before it is tried, and `settle` in the
    end. `headers` are the rate-limit headers for the caller.
    """

    def __init__(self, body: Mapping[str, Any], plan: CallPlan, record_id: UUID) -> None:
        self.headers: dict[str, str] = {}
        self.reserved: ReservedBudgets = {}
        self.has_asked_database = False
        self.answers = 1
        self._body, self._plan, self._record_id = body, plan, record_id
        self._began_at = datetime.now(UTC)
        self.cache = CacheReservation(record_id.hex, self._began_at)
        self._rules: tuple[AppliedRule, ...] = ()
        self._statuses: dict[str, LimitStatus] = {}
        self._refusals: dict[str, tuple[int, NativeError]] = {}
        self._unavailable: DatabaseUnavailable | None = None
        self._is_over = False
        self._lock = asyncio.Lock()

    async def load_rules(self, caller: Caller) -> None:
        """Find the rules that apply to the caller. Raises DatabaseUnavailable if they cannot be
        read."""
        self._rules = (await rules.acurrent()).for_caller(caller)

    async def reserve(self, route: Route, prepared: PreparedRequest) -> None:
        """Count the tokens of this request, and reserve what an attempt with it may use beyond what
        the call holds.

        Raises RateLimited, BudgetExceeded or DatabaseUnavailable; the call then holds what it held
        before.
        """
        prepared.tokens = self._plan.operation.estimate_sent(
            self._body, prepared.body, prepared.content
        )
        estimate = CallEstimate(self._body, route, prepared)
        self.answers = estimate.answers
        if self._rules:
            async with self._lock:  # attempts of a hedged call come at the same time
                await self._reserve(estimate)

    async def _reserve(self, estimate: CallEstimate) -> None:
        amounts = [
            (applied, estimate.amount_for(applied.rule))
            for applied in self._rules
            if applied.rule.covers(estimate.names) and self._is_limited_by(applied.rule)
        ]
        self._raise_earlier_refusal(amounts)
        try:
            acquired = await self.cache.acquire(
                [amount for amount in amounts if amount[0].rule.is_short]
            )
            await self._reserve_budgets(
                [amount for amount in amounts if not amount[0].rule.is_short], acquired
            )
        except (RateLimited, BudgetExceeded) as refusal:
            self._remember_refusal(refusal, amounts)
            raise
        self.cache.keep(acquired)
        self._statuses.update({status.applied.counter: status for status in acquired.statuses})
        self.headers = rate_limit_headers(self._statuses.values())

    def _is_limited_by(self, rule: Rule) -> bool:
        return rule.metric in REQUEST_METRICS or not self._plan.operation.is_free

    def _raise_earlier_refusal(self, amounts: Amounts) -> None:
        """A limit that refused an attempt of this call refuses every attempt that needs as much."""
        for applied, units in amounts:
            refused_units, refusal = self._refusals.get(applied.counter, (0, None))
            if refusal is not None and units >= refused_units:
                raise refusal

    def _remember_refusal(self, refusal: NativeError, amounts: Amounts) -> None:
        counter = (refusal.refused_by or {}).get("counter")
        for applied, units in amounts:
            if applied.counter == counter:
                self._refusals[counter] = (units, refusal)

    def settle(self, entries: Sequence[UsageEntry], route: str) -> None:
        """End the call: put what it used of budgets on its own record, the first one, and give back
        the rest. What the cache counts is given back also if the budgets cannot be settled. Called
        once, from any thread."""
        self._is_over = True
        entry = entries[0]

        def used_amount(applied: AppliedRule, reserved: int) -> int:
            share = -(-reserved // len(entries))
            return sum(estimates.used_amount(applied.rule, each, route, share) for each in entries)

        try:
            if entry.status == "ok" and not self._plan.operation.is_free:
                tokens_per_answer = entry.completion_tokens // self.answers
                estimates.learn(entry.provider, entry.provider_model, tokens_per_answer)
            if self.has_asked_database:
                entry.claims = {
                    str(key): used_amount(request.applied, request.units)
                    for key, (request, _) in self.reserved.items()
                }
        finally:
            self.cache.settle(used_amount)

    # --- budgets ---------------------------------------------------------------------------------

    async def _reserve_budgets(self, amounts: Amounts, acquired: Acquired) -> None:
        """Reserve what the call does not hold yet. If that fails, `acquired` is given back. Raises
        RateLimited, BudgetExceeded or DatabaseUnavailable."""
        try:
            requests = self._budget_requests(amounts)
            reserved = await self._reserve_in_database(requests) if requests else {}
        except BaseException:
            self._give_back(acquired)
            raise
        self.reserved.update(reserved)
        now = datetime.now(UTC)
        for request, level in reserved.values():
            self._statuses[request.applied.counter] = budget_status(
                request, level, now, is_reserved=True
            )

    def _give_back(self, acquired: Acquired) -> None:
        self.cache.give_back(acquired)
        statuses = {
            status.applied.counter: status._replace(is_reserved=False)
            for status in acquired.statuses
        }
        self.headers = rate_limit_headers({**statuses, **self._statuses}.values())

    def _budget_requests(self, amounts: Amounts) -> list[BudgetRequest]:
        reserved = {request.applied.counter: request.units for request, _ in self.reserved.values()}
        zone = timezone.get_default_timezone()
        return [
            BudgetRequest(applied, window_span(applied.rule.window, self._began_at, zone), units)
            for applied, units in amounts
            if units > reserved.get(applied.counter, -1)
        ]

    async def _reserve_in_database(self, requests: Sequence[BudgetRequest]) -> ReservedBudgets:
        if self._unavailable is not None:
            raise self._unavailable
        self.has_asked_database = True
        reserved = {key: request.units for key, (request, _) in self.reserved.items()}
        reserving = _threads().submit(
            budgets.reserve, self._record_id, requests, self._expires_at, reserved
        )
        try:
            return await _threads().wait_for(DATABASE_TIMEOUT_SECONDS, reserving)
        except BudgetExhausted as exhausted:
            self.has_asked_database = bool(self.reserved)
            raise budget_error(exhausted, datetime.now(UTC)) from None
        except (DatabaseError, ResourceUnavailable) as error:
            if isinstance(error, DatabaseError | CallTimeout):  # else the outage has been logged
                logger.warning(
                    "A call was refused because its budgets cannot be read (%s).",
                    type(error).__name__,
                )
            self._abandon(reserving)
            message = "The budgets cannot be read right now. Try again shortly."
            self._unavailable = DatabaseUnavailable(message, headers={"retry-after": "5"})
            raise self._unavailable from None
        except asyncio.CancelledError:
            self._abandon(reserving)
            raise

    @cached_property
    def _expires_at(self) -> datetime:
        """After the end of the last attempt that may still be made, at any target."""
        plan = self._plan
        routes = [plan.route, *plan.fallbacks(), *plan.context_fallbacks()]
        longest = max(
            (target.timeouts.total for route in routes for target in route.targets), default=0.0
        )
        seconds = plan.attempt_limits.start_within + longest + EXPIRY_GRACE_SECONDS
        return datetime.now(UTC) + timedelta(seconds=seconds)

    def _abandon(self, reserving: Future[Any]) -> None:
        if not reserving.cancel():
            reserving.add_done_callback(self._release_late)

    def _release_late(self, reserving: Future[Any]) -> None:
        """Release what was reserved after nobody waited for it any more. A call that goes on gives
        it back at its end, with all that it holds."""
        if reserving.exception() is not None:
            return
        if self._is_over or not self.reserved:
            _threads().submit(settlement.release, self._record_id)
