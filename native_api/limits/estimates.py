"""What a call may use, guessed before it is made: the prompt as it is, and as many output tokens as it may have or the model
usually writes.

What was used in the end is what counts; a guess that was too low is made good when the call is settled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from native_api import prices
from native_api.conf import native_settings
from native_api.engine.client import Plan
from native_api.engine.routes import Route
from native_api.exceptions import BudgetExceeded
from native_api.limits.rules import Rule
from native_api.model_names import canonical
from native_api.models.fields import units_of
from native_api.types import ChatRequest, Target, Usage
from native_api.usage import pricing, tokens
from native_api.usage.entry import UsageEntry

USUAL_OUTPUT: Final = 1000
"""Tokens, for a model that has not answered in this process yet."""

MARGIN: Final = 2
"""Times the mean: answers differ."""

WEIGHT: Final = 0.05
"""Of the newest answer in the mean."""

MOST: Final = 10**18
"""Units: no limit is above that, and what a call used is counted up to it. Less than what a column holds."""

OUTPUT_LIMITS: Final = frozenset({"maxtokens", "maxcompletiontokens", "maxoutputtokens", "numpredict", "maxnewtokens", "maxgenlen"})
ANSWERS: Final = frozenset({"n", "candidatecount"})
"""What `provider_options` may call the limit of the output, and the number of answers, without underscores and capitals."""

DEEPEST: Final = 4

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


class Guess:
    """What one call may use. Each part is worked out only if a limit asks for it."""

    def __init__(self, chat: ChatRequest, plan: Plan) -> None:
        self._chat, self._plan = chat, plan

    @cached_property
    def _routes(self) -> list[Route]:
        return [self._plan.route, *self._plan.fallbacks(), *self._plan.longer()]

    @cached_property
    def targets(self) -> list[Target]:
        """All that may answer, each once."""
        return list({target.key: target for route in self._routes for target in route.targets}.values())

    @cached_property
    def names(self) -> frozenset[str]:
        """What a pattern is compared with."""
        asked = [name for name in (self._chat.get("model"), self._chat.get("tier")) if name]
        return frozenset([*asked, *(route.name for route in self._routes), *map(str, self.targets)])

    @cached_property
    def attempts_at_once(self) -> int:
        """Hedging asks two targets for the same answer."""
        return 2 if any(route.hedge_after is not None for route in self._routes) else 1

    @cached_property
    def input_tokens(self) -> int:
        return tokens.prompt_tokens(self._chat)

    def output_tokens_of(self, target: Target) -> int:
        most = max(self._chat.get("max_completion_tokens") or self._chat.get("max_tokens") or 0, self._most_told(OUTPUT_LIMITS))
        return min((most or usual_output(target)) * max(self._chat.get("n") or 1, self._most_told(ANSWERS)), MOST_TOKENS)

    def _most_told(self, names: frozenset[str]) -> int:
        """The largest number that `provider_options` give for any of these, at whatever depth: they go to the provider as they are."""
        return max(_numbers(self._chat.get("provider_options"), names), default=0)

    @cached_property
    def output_tokens(self) -> int:
        return max(map(self.output_tokens_of, self.targets), default=0)

    @cached_property
    def cost(self) -> int:
        """Units of the dearest target. Raises BudgetExceeded where the price of one is not known."""
        return max(map(self._cost_of, self.targets), default=0)

    def _cost_of(self, target: Target) -> int:
        output = self.output_tokens_of(target)
        told = pricing.estimate(target, self.input_tokens, output, self._chat.get("service_tier") or "")
        if told is None:
            fallback = fallback_price()
            told = None if fallback is None else prices.most(fallback, self.input_tokens, output)
        if told is None:
            raise BudgetExceeded(
                f"The price of {target} is not known, so no budget admits it. An operator can tell its PRICE, or a FALLBACK_PRICE.",
                code="price_unknown",
                headers={"x-should-retry": "false"},
            )
        return units_of(told)

    def of(self, rule: Rule) -> int:
        """In the rule's units."""
        return min(self._of(rule), MOST)

    def _of(self, rule: Rule) -> int:
        if rule.metric == "requests":
            return 1
        if rule.metric == "cost":
            return self.cost * self.attempts_at_once
        used = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return min(used.get(rule.metric, sum(used.values())), MOST) * self.attempts_at_once


def _numbers(value: Any, names: frozenset[str], depth: int = 0) -> Iterator[int]:
    if isinstance(value, dict) and depth < DEEPEST:
        for name, member in value.items():
            if name.replace("_", "").lower() in names and isinstance(member, int) and 0 < member <= MOST_TOKENS:
                yield member
            else:
                yield from _numbers(member, names, depth + 1)


def fallback_price() -> prices.Table | None:
    """For what has no price, where there is a limit on cost. Raises ValueError where the setting is none."""
    return prices.parse(native_settings.FALLBACK_PRICE)


def used(rule: Rule, entry: UsageEntry, route: str, reserved: int) -> int:
    """What a call used by one of its records, in the rule's units. `route` is the one that answered, `reserved` this record's part.

    Where a price disappeared while the call ran, it counts by FALLBACK_PRICE, else as what was reserved.
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
    told = None if fallback is None else prices.cost(fallback, _usage(entry))
    return reserved if told is None else units_of(told)


def _usage(entry: UsageEntry) -> Usage:
    return {
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "total_tokens": entry.total_tokens,
        "prompt_tokens_details": {"cached_tokens": entry.cached_tokens, "cache_write_tokens": entry.cache_write_tokens},
        "completion_tokens_details": {"reasoning_tokens": entry.reasoning_tokens},
    }
