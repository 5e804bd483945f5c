"""What differs by model on Bedrock's wire: who made the model, what that maker's API refuses, and
how the model is asked to reason. Fields that models refuse on every wire are in
`shared.model_rules`.

Converse is one format for all models, but each maker's own rules remain. Sources: the model cards
and parameter pages at https://docs.aws.amazon.com/bedrock/latest/userguide/ (structured-output,
prompt-caching, inference-reasoning, conversation-inference-supported-models-features) and
https://docs.aws.amazon.com/nova/latest/nova2-userguide/ (read 2026-11). An id that names no maker,
such as an application inference profile's ARN, is assumed to allow everything.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from native_api.dialects.anthropic.models import (
    MIN_THINKING_BUDGET,
    THINKING_BUDGETS,
    read_abilities,
)
from native_api.types import Json

MAKER: Final = re.compile(
    r"(?:^|[./])"
    r"(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|nvidia|openai"
    r"|qwen|writer|zai)"
    r"(?:ai)?\."
)

CACHING_MAKERS: Final = frozenset({"", "amazon", "anthropic"})
"""Makers whose models take cache points."""
RESULTS_ALONE_MAKERS: Final = frozenset({"meta", "mistral", "writer"})
"""Makers whose models refuse a turn that holds tool results and anything else."""
USER_FIRST_MAKERS: Final = frozenset({"ai21", "amazon", "cohere", "meta", "mistral", "writer"})
"""Makers whose models refuse a conversation that the assistant begins."""
UNSIGNED_REASONING_MAKERS: Final = frozenset(
    {
        "ai21", "amazon", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "nvidia",
        "qwen", "writer", "zai",
    }
)  # fmt: skip
"""Makers whose models neither sign nor encrypt their reasoning, and refuse signed reasoning."""
UNFORCED_TOOLS_MAKERS: Final = frozenset({"ai21", "cohere", "meta", "writer"})
"""Makers whose models cannot be forced to call a tool."""

SCHEMA_MODELS: Final = re.compile(
    r"claude-(haiku|opus|sonnet)-4-[56]|claude-[a-z]+-5-[5-9]|openai\.gpt|qwen3|deepseek\.v3|kimi-k"
    r"|zai\.glm|minimax-m2|nemotron-nano|gemma-3-(12|27)b|magistral-small|ministral-3"
    r"|mistral-large-3|voxtral"
)
"""Models with structured output (`outputConfig.textFormat`) and strict tools."""

OLD_CLAUDE_MODELS: Final = re.compile(r"claude-(v2|instant)")
"""Models that never think, although their names have no generation."""

THREE_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""`reasoning_effort` -> the nearest effort, for models that have three."""
TWO_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "high",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""`reasoning_effort` -> the nearest effort, for models that have two."""


def read_maker(model: str) -> str:
    """`anthropic` for `us.anthropic.claude-sonnet-4-6`; "" if the id does not name a maker."""
    match = MAKER.search(model)
    return match[1] if match else ""


TOP_K_PATHS: Final = {
    "anthropic": ("top_k",),
    "mistral": ("top_k",),
    "cohere": ("k",),
    "amazon": ("inferenceConfig", "topK"),
}
"""Maker -> where its models take `top_k` among their own fields
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and
https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html, read 2026-11)."""


def build_top_k(model: str, top_k: int) -> Json | None:
    """`top_k` in the model's own fields; None if the model has no such field."""
    maker = read_maker(model)
    if maker not in TOP_K_PATHS or (maker == "amazon" and "nova" not in model):
        return None
    *parents, name = TOP_K_PATHS[maker]
    fields: Json = {name: top_k}
    for parent in parents:
        fields = {parent: fields}
    return fields


class Reasoning(NamedTuple):
    """How a model is asked to reason: `fields` for `additionalModelRequestFields`, whether they say
    exactly what the client asked for, and the parameters that they forbid."""

    fields: Json
    is_exact: bool = True
    forbidden: tuple[str, ...] = ()


SAMPLING: Final = ("temperature", "topP")
OMITTED_REASONING: Final = Reasoning({}, is_exact=False)


def build_reasoning(
    model: str,
    effort: str,
    max_tokens: int | None,
    must_call: bool,
    has_lost_thinking: bool = False,
    budget: int | None = None,
) -> Reasoning:
    """`reasoning_effort` in the model's own fields.

    `max_tokens` limits the output, `must_call` says whether the model must call a tool, and
    `has_lost_thinking` whether the calls answered last came back without the thinking that led to
    them. `budget` is the client's own limit of thinking, in tokens, which some Claudes take.
    """
    maker = read_maker(model)
    if maker == "anthropic":
        return _build_claude_reasoning(
            model, effort, max_tokens, must_call, has_lost_thinking, budget
        )
    if "nova-2" in model:
        return _build_nova_reasoning(effort, max_tokens)
    if maker == "openai":
        return _build_openai_reasoning(model, effort)
    if "deepseek.v3" in model and not must_call:
        if effort == "none":
            return Reasoning({})
        return _build_effort("reasoning_effort", effort, THREE_EFFORTS)
    if "kimi-k" in model and effort != "none":
        return _build_effort("reasoning_effort", effort, THREE_EFFORTS)
    if "qwen3" in model and effort != "none":
        return _build_effort("reasoning_config", effort, TWO_EFFORTS)
    return Reasoning({}, is_exact=effort == "none" and not _always_reasons(model))


def _build_effort(name: str, effort: str, nearest_efforts: dict[str, str]) -> Reasoning:
    nearest = nearest_efforts.get(effort, effort)
    return Reasoning({name: nearest}, is_exact=nearest == effort)


def _always_reasons(model: str) -> bool:
    return any(name in model for name in ("deepseek.r1", "kimi-k", "minimax-m", "qwen3", "gpt-oss"))


def _build_claude_reasoning(
    model: str,
    effort: str,
    max_tokens: int | None,
    must_call: bool,
    has_lost_thinking: bool,
    budget: int | None,
) -> Reasoning:
    """The same fields as on Anthropic's own wire."""
    abilities = read_abilities(model)
    never_thinks = abilities.thinking == "never" or bool(OLD_CLAUDE_MODELS.search(model))
    if effort == "none" or must_call:
        fields, is_exact = ({}, True) if never_thinks else abilities.without_thinking()
        return Reasoning(fields, is_exact=is_exact and effort == "none")
    if never_thinks or (abilities.thinking == "by budget" and has_lost_thinking):
        return OMITTED_REASONING
    if abilities.thinking == "adaptive":
        nearest = abilities.nearest_effort(effort)
        thinking = abilities.adaptive_thinking()
        return Reasoning(
            {"thinking": thinking, "output_config": {"effort": nearest}},
            nearest == effort,
            SAMPLING,
        )
    wanted = budget or THINKING_BUDGETS[effort]
    budget = wanted if max_tokens is None else min(wanted, max_tokens - 1)
    if budget < MIN_THINKING_BUDGET:
        return OMITTED_REASONING
    return Reasoning({"thinking": {"type": "enabled", "budget_tokens": budget}}, forbidden=SAMPLING)


def _build_nova_reasoning(effort: str, max_tokens: int | None) -> Reasoning:
    """At the highest effort Nova refuses an output limit and sampling. A client's limit is kept and
    the effort lowered."""
    if effort == "none":
        return Reasoning({"reasoningConfig": {"type": "disabled"}})
    nearest = THREE_EFFORTS.get(effort, effort)
    if nearest == "high" and max_tokens is not None:
        nearest = "medium"
    return Reasoning(
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": nearest}},
        is_exact=nearest == effort,
        forbidden=SAMPLING if nearest == "high" else (),
    )


def _build_openai_reasoning(model: str, effort: str) -> Reasoning:
    """The open models have three efforts and cannot be switched off; the later ones take the
    efforts of the Responses API except `minimal`."""
    if "gpt-oss" not in model:
        nearest = "low" if effort == "minimal" else effort
        return Reasoning({"reasoning": {"effort": nearest}}, is_exact=nearest == effort)
    if effort == "none":
        return OMITTED_REASONING
    return _build_effort("reasoning_effort", effort, THREE_EFFORTS)
