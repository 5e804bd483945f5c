"""The fields that models refuse although their wire has them: one table of name patterns, for all
vendors that serve the models.

A model's name is matched without its vendor's path and tag (`openai/gpt-5:free` is `gpt-5`). An
Azure deployment with another name matches nothing and is left as it is. Sources, read 2026-11:
- https://platform.openai.com/docs/guides/reasoning and
  https://platform.openai.com/docs/guides/latest-model: reasoning models refuse sampling unless
  reasoning is off, and take `max_completion_tokens` only.
- https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning: the same list, with
  `logit_bias` and `logprobs`.
- https://platform.openai.com/docs/api-reference/chat/create: no `stop` for o3 and later.
- https://docs.x.ai/docs/guides/reasoning: Grok refuses penalties and `stop`, and some models the
  effort.
- https://api-docs.deepseek.com/guides/thinking_mode: `logprobs` is an error for deepseek-reasoner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from native_api.types.config import empty_mapping

Reasoning = Literal["always", "on", "off", "never"]
"""Whether a model reasons. `on` and `off`: if no effort is asked for; these models take `none`."""

SAMPLING_FIELDS: Final = frozenset(
    {
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
    }
)
REFUSED_WHILE_REASONING: Final = SAMPLING_FIELDS | {"prediction"}
NO_FIELDS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Family:
    """Models that refuse the same fields: some always, some only while they reason."""

    pattern: re.Pattern[str]
    reasoning: Reasoning
    refused: frozenset[str] = NO_FIELDS
    refused_while_reasoning: frozenset[str] = NO_FIELDS
    max_tokens_field: str = ""
    roles: Mapping[str, str] = field(default_factory=empty_mapping)

    def reasons(self, effort: str | None) -> bool:
        if self.reasoning in ("always", "never"):
            return self.reasoning == "always"
        return effort != "none" if effort else self.reasoning == "on"


def _build_early_family(pattern: str, *refused: str, **roles: str) -> Family:
    """The first reasoning models, which always reason and take `stop`."""
    return Family(
        re.compile(pattern),
        "always",
        frozenset(refused),
        REFUSED_WHILE_REASONING,
        "max_completion_tokens",
        roles,
    )


def _build_openai_family(pattern: str, reasoning: Reasoning) -> Family:
    return Family(
        re.compile(pattern),
        reasoning,
        NO_FIELDS,
        REFUSED_WHILE_REASONING | {"stop"},
        "max_completion_tokens",
    )


def _build_plain_family(pattern: str, *refused: str) -> Family:
    return Family(re.compile(pattern), "never", frozenset(refused))


def _build_grok_family(pattern: str, *refused: str) -> Family:
    return Family(
        re.compile(pattern),
        "always",
        frozenset({"presence_penalty", "frequency_penalty", "stop", *refused}),
    )


FAMILIES: Final = (
    _build_early_family(
        r"o1-(mini|preview)",
        "parallel_tool_calls",
        "reasoning_effort",
        system="user",
        developer="user",
    ),
    _build_early_family(r"(o1|o3-mini)(-|$)", "parallel_tool_calls"),
    _build_openai_family(r"o\d(-|$)", "always"),
    _build_plain_family(r"gpt-5-chat", "reasoning_effort"),
    _build_plain_family(
        r"gpt-(5|4o|4o-mini)-search",
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
    ),
    _build_openai_family(r"gpt-5\.\d-chat", "always"),
    _build_openai_family(r"gpt-5(\.\d)?-pro|gpt-5(\.[12])?-codex|gpt-5(-|$)", "always"),
    _build_openai_family(r"gpt-5\.[1-4]", "off"),
    _build_openai_family(r"gpt-6-astra|gpt-6\.1-sol", "always"),
    _build_openai_family(r"gpt-([6-9]|5\.\d)", "on"),
    _build_plain_family(r"(chatgpt-|gpt-)(3|4)", "reasoning_effort", "verbosity"),
    _build_grok_family(r"grok-(code|build-\d|4\.20(?!-multi-agent))", "reasoning_effort"),
    _build_grok_family(r"grok-(3-mini|[4-9]|build|latest)"),
    Family(re.compile(r"deepseek-reasoner"), "always", frozenset({"logprobs", "top_logprobs"})),
)
"""The first pattern that matches the beginning of a model's name wins."""


@lru_cache(maxsize=1024)
def find_family(model: str) -> Family | None:
    name = model.rpartition("/")[2].partition(":")[0].lower()
    return next((family for family in FAMILIES if family.pattern.match(name)), None)


def refused_fields(model: str, effort: str | None) -> frozenset[str]:
    """Unified fields that this model refuses at this effort (None: the model's default)."""
    family = find_family(model)
    if family is None:
        return NO_FIELDS
    if family.reasons(effort):
        return family.refused | family.refused_while_reasoning
    return family.refused


def can_reason(model: str) -> bool:
    """Whether the model is known to reason."""
    family = find_family(model)
    return family is not None and family.reasoning != "never"


BREAKPOINTS: Final = re.compile(r"gpt-(5\.[6-9]|[6-9])")
"""Models with explicit cache breakpoints: https://platform.openai.com/docs/guides/prompt-caching
(2026-11)."""


def takes_breakpoints(model: str) -> bool:
    return bool(BREAKPOINTS.match(model.rpartition("/")[2].lower()))
