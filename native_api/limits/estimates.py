"""What an attempt may use, estimated before it is made from what is sent: its input, and as many
output tokens as it may have or the model usually writes.

What was used in the end is what counts; an estimate that was too low is made good when the call is
settled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from native_api.conf import native_settings, setting_check, setting_path
from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.request_fields import read_max_tokens
from native_api.exceptions import BudgetExceeded, ConfigurationError, SettingError
from native_api.limits.rules import Rule
from native_api.models.fields import units_of
from native_api.pricing import costs, lookup, tables
from native_api.routing.route import Route
from native_api.types import ChatRequest, Target, Usage
from native_api.types.model_names import canonical
from native_api.upstream.call import PreparedRequest
from native_api.usage.entry import UsageEntry

USUAL_OUTPUT: Final = 1000
"""Tokens, for a model that has not answered in this process yet."""

MARGIN: Final = 2
"""Times the mean: answers differ."""

WEIGHT: Final = 0.05
"""Of the newest answer in the mean."""

MOST: Final = 10**18
"""Units: no limit is above that, and what a call used is counted up to it. Less than what a column
holds."""

MOST_TOKENS: Final = 10**15
"""Of one call: nobody can mean more, and its price can still be worked out."""

MOST_REMEMBERED: Final = 1000

_usual: OrderedDict[str, float] = OrderedDict()
"""Mean output tokens by target."""


def learn(provider: str, model: str, completion_tokens: int) -> None:
    """A whole answer had so many tokens."""
    name = f"{provider}/{canonical(model)}"
    mean = _usual.pop(name, None)
    _usual[name] = completion_tokens if mean is None else mean + (completion_tokens - mean) * WEIGHT
    if len(_usual) > MOST_REMEMBERED:
        _usual.popitem(last=False)


def usual_output(target: Target) -> int:
    mean = _usual.get(f"{target.provider.name}/{canonical(target.model)}")
    return USUAL_OUTPUT if mean is None else max(1, round(mean * MARGIN))


class Demand:
    """What an attempt at one target may use: of the request as it is sent there. Each part is
    worked out only if a limit asks for it."""

    def __init__(self, chat: ChatRequest, route: Route, prepared: PreparedRequest) -> None:
        self._chat, self._route, self._prepared = chat, route, prepared
        self.target = prepared.target
        self.input_tokens = prepared.tokens

    @cached_property
    def names(self) -> frozenset[str]:
        """What a pattern is compared with."""
        asked = (
            self._chat.get("model"),
            self._chat.get("tier"),
            self._route.name,
            str(self.target),
        )
        return frozenset(name for name in asked if name)

    @property
    def attempts_at_once(self) -> int:
        """Hedging asks two targets for the same answer."""
        return 1 if self._route.hedge_after is None else 2

    @cached_property
    def answers(self) -> int:
        wire, body = self._prepared.wire, self._prepared.body
        return (gateway_owned.read_choice_count(wire, body) if wire else self._chat.get("n")) or 1

    @cached_property
    def output_tokens(self) -> int:
        """Up to the limit that the target is sent. One that the client did not set is the wire's
        own, and seldom reached."""
        usual, asked = usual_output(self.target), read_max_tokens(self._chat)
        limit = (
            gateway_owned.read_output_limit(self._prepared.wire, self._prepared.body)
            if self._prepared.wire
            else asked
        )
        if not limit or limit is True or limit < 0:
            limit = usual
        most = limit if asked else min(limit, usual)
        return min(most * self.answers, MOST_TOKENS)

    @property
    def _tier(self) -> str:
        wire = self._prepared.wire
        return (
            gateway_owned.read_requested_tier(wire, self._prepared.body)
            if wire
            else self._chat.get("service_tier") or ""
        )

    @cached_property
    def cost(self) -> int:
        """Units. Raises BudgetExceeded if the target's price is not known."""
        told = lookup.max_cost(self.target, self.input_tokens, self.output_tokens, self._tier)
        if told is None:
            fallback = fallback_price()
            told = (
                None
                if fallback is None
                else costs.max_cost(fallback, self.input_tokens, self.output_tokens)
            )
        if told is None:
            raise BudgetExceeded(
                f"The price of {self.target} is not known, so no budget admits it. An operator can tell its PRICE, or a FALLBACK_PRICE.",
                code="price_unknown",
                headers={"x-should-retry": "false"},
            )
        return units_of(told)

    def of(self, rule: Rule) -> int:
        """In the rule's units."""
        return min(self._of(rule), MOST)

    def _of(self, rule: Rule) -> int:
        if rule.metric in ("requests", "concurrent_requests"):
            return 1
        if rule.metric == "cost":
            return self.cost * self.attempts_at_once
        used = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return min(used.get(rule.metric, sum(used.values())), MOST) * self.attempts_at_once


def fallback_price() -> tables.Table | None:
    """The price of models that have none, for limits on cost. Raises SettingError."""
    return tables.parse(native_settings.FALLBACK_PRICE)


@setting_check("FALLBACK_PRICE")
def price_errors(name: str, value: Any) -> Iterator[SettingError]:
    try:
        tables.parse(value)
    except ConfigurationError as error:
        yield SettingError(setting_path(name), error.message, error.hint)


def used(rule: Rule, entry: UsageEntry, route: str, reserved: int) -> int:
    """What a call used by one of its records, in the rule's units. `route` is the one that
    answered, `reserved` this record's part.

    Where a price disappeared while the call ran, it counts by FALLBACK_PRICE, else as what was
    reserved.
    """
    if not rule.covers((entry.model, route, f"{entry.provider}/{entry.provider_model}")):
        return 0
    return min(_used(rule, entry, reserved), MOST)


def _used(rule: Rule, entry: UsageEntry, reserved: int) -> int:
    if rule.metric == "requests":
        return int(entry.error_code != "hedged" and was_served(entry))
    if rule.metric == "cost":
        return _cost_of(entry, reserved)
    counts = {"input_tokens": entry.prompt_tokens, "output_tokens": entry.completion_tokens}
    return counts.get(rule.metric, max(entry.total_tokens, sum(counts.values())))


def was_served(entry: UsageEntry) -> bool:
    """Whether it counts as a request: one that failed without an answer does not."""
    return entry.status in ("ok", "client_closed") or entry.completion_tokens > 0


def _cost_of(entry: UsageEntry, reserved: int) -> int:
    if entry.cost is not None:
        return units_of(entry.cost)
    if not entry.total_tokens:
        return 0
    fallback = fallback_price()
    told = None if fallback is None else costs.call_cost(fallback, _usage(entry))
    return reserved if told is None else units_of(told)


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
