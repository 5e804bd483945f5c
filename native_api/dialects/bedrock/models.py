"""What depends on the model behind the wire: whose it is, what its maker's API refuses, and how it
is told to reason.

Converse is one shape for all models, but each maker's rules shine through. Sources: the model cards
and parameter pages at https://docs.aws.amazon.com/bedrock/latest/userguide/ (structured-output,
prompt-caching, inference-reasoning, conversation-inference-supported-models-features) and
https://docs.aws.amazon.com/nova/latest/nova2-userguide/ (read 2026-11). An id that names no maker,
such as an application inference profile's ARN, is taken to allow everything.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from native_api.dialects.anthropic.models import BUDGETS, LEAST_BUDGET, abilities
from native_api.types import Json

MAKER: Final = re.compile(
    r"(?:^|[./])(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|nvidia|openai|qwen|writer|zai)(?:ai)?\."
)

CACHES: Final = frozenset({"", "amazon", "anthropic"})
"""Makers whose models take cache points."""
ALONE: Final = frozenset({"meta", "mistral", "writer"})
"""Makers whose models take nothing beside tool results in a turn."""
BEGINS_WITH_USER: Final = frozenset({"ai21", "amazon", "cohere", "meta", "mistral", "writer"})
"""Makers whose models refuse a conversation that the assistant begins."""
UNSIGNED: Final = frozenset(
    {
        "ai21",
        "amazon",
        "cohere",
        "deepseek",
        "google",
        "meta",
        "minimax",
        "mistral",
        "nvidia",
        "qwen",
        "writer",
        "zai",
    }
)
"""Makers whose models neither sign nor encrypt their reasoning, and refuse what others signed."""
UNFORCED: Final = frozenset({"ai21", "cohere", "meta", "writer"})
"""Makers whose models cannot be made to call a tool."""

HAS_SCHEMAS: Final = re.compile(
    r"claude-(haiku|opus|sonnet)-4-[56]|claude-[a-z]+-5-[5-9]|openai\.gpt|qwen3|deepseek\.v3|kimi-k|zai\.glm|minimax-m2|nemotron-nano"
    r"|gemma-3-(12|27)b|magistral-small|ministral-3|mistral-large-3|voxtral"
)
"""Models with structured output of their own (`outputConfig.textFormat`) and strict tools."""

WITHOUT_SAMPLING: Final = re.compile(r"claude-(opus-4-[7-9]|[a-z]+-[5-9])|openai\.gpt-[5-9]")
"""Models that refuse `temperature` and `topP`."""
ONE_SAMPLING: Final = re.compile(r"claude-(opus-4-1|(haiku|opus|sonnet)-4-[5-9])")
"""Models that take one of the two, not both."""
WITHOUT_STOP: Final = re.compile(r"openai\.gpt-[5-9]")

OLD_CLAUDE: Final = re.compile(r"claude-(v2|instant)")
LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
TWO_LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def maker(model: str) -> str:
    """`anthropic` for `us.anthropic.claude-sonnet-4-6`; "" where the id does not say."""
    found = MAKER.search(model)
    return found[1] if found else ""


class Reasoning(NamedTuple):
    """`fields` for `additionalModelRequestFields`, whether they say just what was asked, and the
    parameters they forbid."""

    fields: Json
    is_exact: bool = True
    forbids: tuple[str, ...] = ()


SAMPLING: Final = ("temperature", "topP")
UNSAID: Final = Reasoning({}, is_exact=False)


def reasoning(
    model: str, effort: str, limit: int | None, is_forced: bool, has_lost: bool = False
) -> Reasoning:
    """How this model is told an effort. `limit` is the output's, `is_forced` whether it must call a
    tool, `has_lost` whether the calls that are answered last came back without the thinking that
    led to them.
    """
    who = maker(model)
    if who == "anthropic":
        return _claude(model, effort, limit, is_forced, has_lost)
    if "nova-2" in model:
        return _nova(effort, limit)
    if who == "openai":
        return _openai(model, effort)
    if "deepseek.v3" in model and not is_forced:
        return Reasoning({}) if effort == "none" else _by_level("reasoning_effort", effort, LEVELS)
    if "kimi-k" in model and effort != "none":
        return _by_level("reasoning_effort", effort, LEVELS)
    if "qwen3" in model and effort != "none":
        return _by_level("reasoning_config", effort, TWO_LEVELS)
    return Reasoning({}, is_exact=effort == "none" and not _always_reasons(model))


def _by_level(name: str, effort: str, levels: dict[str, str]) -> Reasoning:
    level = levels.get(effort, effort)
    return Reasoning({name: level}, is_exact=level == effort)


def _always_reasons(model: str) -> bool:
    return any(name in model for name in ("deepseek.r1", "kimi-k", "minimax-m", "qwen3", "gpt-oss"))


def _claude(
    model: str, effort: str, limit: int | None, is_forced: bool, has_lost: bool
) -> Reasoning:
    """As the Anthropic API is told, with Claude's own fields."""
    able = abilities(model)
    never = able.thinking == "never" or bool(OLD_CLAUDE.search(model))
    if effort == "none" or is_forced:
        fields, is_exact = ({}, True) if never else able.without_thinking()
        return Reasoning(fields, is_exact=is_exact and effort == "none")
    if never or (able.thinking == "by budget" and has_lost):
        return UNSAID
    if able.thinking == "adaptive":
        level = able.effort(effort)
        return Reasoning(
            {"thinking": able.adaptive(), "output_config": {"effort": level}},
            level == effort,
            SAMPLING,
        )
    budget = BUDGETS[effort] if limit is None else min(BUDGETS[effort], limit - 1)
    if budget < LEAST_BUDGET:
        return UNSAID
    return Reasoning({"thinking": {"type": "enabled", "budget_tokens": budget}}, forbids=SAMPLING)


def _nova(effort: str, limit: int | None) -> Reasoning:
    """At the highest effort Nova refuses any limit and sampling; a client's limit is kept, and the
    effort gives way."""
    if effort == "none":
        return Reasoning({"reasoningConfig": {"type": "disabled"}})
    level = LEVELS.get(effort, effort)
    if level == "high" and limit is not None:
        level = "medium"
    fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}
    return Reasoning(fields, is_exact=level == effort, forbids=SAMPLING if level == "high" else ())


def _openai(model: str, effort: str) -> Reasoning:
    """The open models know three levels and no off; the later ones take the Responses API's words,
    but no `minimal`."""
    if "gpt-oss" not in model:
        level = "low" if effort == "minimal" else effort
        return Reasoning({"reasoning": {"effort": level}}, is_exact=level == effort)
    return UNSAID if effort == "none" else _by_level("reasoning_effort", effort, LEVELS)
