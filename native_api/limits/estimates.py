"""What an attempt may use, estimated before it is made from the request as it is sent: its input,
and as many output tokens as it may have or as the model usually writes.

What was really used counts in the end: settling corrects an estimate that was too low or too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from native_api.bounded_cache import BoundedCache
from native_api.conf import native_settings, setting_check, setting_path
from native_api.dialects import DIALECTS
from native_api.dialects.shared.gateway_owned import read_requested_tier
from native_api.exceptions import BudgetExceeded, ConfigurationError, SettingError
from native_api.limits.rules import REQUEST_METRICS, Rule
from native_api.models.fields import units_of
from native_api.pricing import costs, lookup, tables
from native_api.routing.route import Route
from native_api.types import Target, Usage
from native_api.types.model_names import canonical
from native_api.upstream.prepared_request import PreparedRequest
from native_api.usage.entry import UsageEntry

DEFAULT_OUTPUT_TOKENS: Final = 1000
"""For a model that has not answered in this process yet."""

OUTPUT_MARGIN: Final = 2
"""The expected output is the mean times this, because answers differ in length."""

NEWEST_ANSWER_WEIGHT: Final = 0.05
"""The weight of the newest answer in the moving mean."""

MAX_UNITS: Final = 10**18
"""No limit is above this, and usage is counted up to it. It fits the columns."""

MAX_TOKENS: Final = 10**15
"""Of one call: absurdly many, but their price can still be calculated."""

MAX_TARGETS: Final = 1000
"""Targets whose mean output is remembered."""

_mean_output_tokens: Final = BoundedCache[str, float](MAX_TARGETS)
"""By target."""


def learn(provider: str, model: str, completion_tokens: int) -> None:
    """Record how many tokens a complete answer had."""
    name = f"{provider}/{canonical(model)}"
    mean = _mean_output_tokens.get(name)
    _mean_output_tokens[name] = (
        completion_tokens
        if mean is None
        else mean + (completion_tokens - mean) * NEWEST_ANSWER_WEIGHT
    )


def expected_output(target: Target) -> int:
    """Return the output tokens to expect from an answer without a limit."""
    mean = _mean_output_tokens.get(f"{target.provider.name}/{canonical(target.model)}")
    return DEFAULT_OUTPUT_TOKENS if mean is None else max(1, round(mean * OUTPUT_MARGIN))


class CallEstimate:
    """What an attempt at one target may use, from the request as it is sent there.

    Each number is calculated only if a limit needs it.
    """

    def __init__(self, body: Mapping[str, Any], route: Route, prepared: PreparedRequest) -> None:
        self._body, self._route, self._prepared = body, route, prepared
        self.target = prepared.target
        self.input_tokens = prepared.tokens

    @cached_property
    def names(self) -> frozenset[str]:
        """The names with which the pattern of a limit is compared."""
        names = (
            self._body.get("model"),
            self._body.get("tier"),
            self._route.name,
            str(self.target),
        )
        return frozenset(name for name in names if name)

    @property
    def parallel_attempts(self) -> int:
        """Hedging sends the same request to two targets."""
        return 1 if self._route.hedge_after is None else 2

    @cached_property
    def answers(self) -> int:
        prepared = self._prepared
        if not prepared.wire:
            return prepared.operation.answer_count(self._body)
        return DIALECTS[prepared.wire].owned_members.read_choice_count(prepared.body) or 1

    @cached_property
    def output_tokens(self) -> int:
        """The limit that is sent to the target, for all answers. A limit that the client did not
        set is the wire's default, which answers seldom reach."""
        expected, prepared = expected_output(self.target), self._prepared
        client_limit = prepared.operation.max_output_tokens(self._body)
        if client_limit == 0:
            return 0
        limit = (
            DIALECTS[prepared.wire].owned_members.read_output_limit(prepared.body)
            if prepared.wire
            else client_limit
        )
        if not limit or limit is True or limit < 0:
            limit = expected
        per_answer = limit if client_limit else min(limit, expected)
        return min(per_answer * self.answers, MAX_TOKENS)

    @property
    def _service_tier(self) -> str:
        if self._prepared.wire:
            return read_requested_tier(self._prepared.body)
        return self._body.get("service_tier") or ""

    @cached_property
    def cost(self) -> int:
        """Units. Raises BudgetExceeded if the target's price is unknown."""
        tokens = self.input_tokens, self.output_tokens
        cost = lookup.max_cost(self.target, *tokens, self._service_tier)
        if cost is None:
            fallback = fallback_price()
            cost = None if fallback is None else costs.max_cost(fallback, *tokens)
        if cost is None:
            raise BudgetExceeded(
                f"The price of {self.target} is unknown, so no budget can admit this call. "
                "An operator can set its PRICE, or a FALLBACK_PRICE.",
                code="price_unknown",
                headers={"x-should-retry": "false"},
            )
        return units_of(cost)

    def amount_for(self, rule: Rule) -> int:
        """Return what the attempt may use of the rule, in the rule's units."""
        return min(self._amount_for(rule), MAX_UNITS)

    def _amount_for(self, rule: Rule) -> int:
        if rule.metric in REQUEST_METRICS:
            return 1
        if rule.metric == "cost":
            return self.cost * self.parallel_attempts
        tokens = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        amount = tokens.get(rule.metric, sum(tokens.values()))
        return min(amount, MAX_UNITS) * self.parallel_attempts


def fallback_price() -> tables.Table | None:
    """Return the price for targets without one, under limits on cost. Raises SettingError."""
    return tables.parse(native_settings.FALLBACK_PRICE)


@setting_check("FALLBACK_PRICE")
def price_errors(name: str, value: Any) -> Iterator[SettingError]:
    """Yield what is wrong with FALLBACK_PRICE."""
    try:
        tables.parse(value)
    except ConfigurationError as error:
        yield SettingError(setting_path(name), error.message, error.hint)


def used_amount(rule: Rule, entry: UsageEntry, route: str, reserved: int) -> int:
    """Return what a call used according to one of its records, in the rule's units.

    `route` is the route that answered, `reserved` this record's share of the reservation. If the
    price disappeared while the call ran, FALLBACK_PRICE counts, or else what was reserved.
    """
    if not rule.covers((entry.model, route, f"{entry.provider}/{entry.provider_model}")):
        return 0
    return min(_used_amount(rule, entry, reserved), MAX_UNITS)


def _used_amount(rule: Rule, entry: UsageEntry, reserved: int) -> int:
    if rule.metric == "requests":
        return int(entry.error_code != "hedged" and _was_served(entry))
    if rule.metric == "cost":
        return _used_cost(entry, reserved)
    tokens = {"input_tokens": entry.prompt_tokens, "output_tokens": entry.completion_tokens}
    return tokens.get(rule.metric, max(entry.total_tokens, sum(tokens.values())))


def _was_served(entry: UsageEntry) -> bool:
    """Whether it counts as a request: one that failed without an answer does not."""
    return entry.status in ("ok", "client_closed") or entry.completion_tokens > 0


def _used_cost(entry: UsageEntry, reserved: int) -> int:
    if entry.cost is not None:
        return units_of(entry.cost)
    if not entry.total_tokens:
        return 0
    fallback = fallback_price()
    cost = None if fallback is None else costs.call_cost(fallback, _usage(entry))
    return reserved if cost is None else units_of(cost)


def _usage(entry: UsageEntry) -> Usage:
    return {
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "total_tokens": entry.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": entry.cached_tokens,
            "cache_write_tokens": entry.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": entry.reasoning_tokens},
    }
