"""What models refuse or need although their wire allows it: one table, which all dialects read.

Rules:
1. A row is found by the model's name without its vendor's path, prefix and tag (`bare_name`). The
   first row that matches the beginning of that name decides; a model without a row is left as it
   is.
2. A row that names `hosts` holds only there: presets or dialects, or "" for a provider without a
   preset. It stands before the row for all others.
3. A row names the page or report that says so, and the month of it. Facts of a wire (how thinking
   is written, output limits) stay in the dialect's own `models`.
4. A site says more, or other things, with BASE_MODEL and MODEL_RULES (docs/settings.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from native_api.types import Target
from native_api.types.model_rules import (
    NO_FIELDS,
    NO_RULE,
    ModelOverride,
    ModelRule,
    Reasoning,
    ToolsWithEffort,
    bare_name,
)

PENALTIES: Final = frozenset({"presence_penalty", "frequency_penalty"})
TEMPERATURE: Final = frozenset({"temperature", "top_p"})
LOGPROBS: Final = frozenset({"logprobs", "top_logprobs"})
EFFORT: Final = frozenset({"reasoning_effort"})
SAMPLING_FIELDS: Final = TEMPERATURE | PENALTIES | LOGPROBS | {"logit_bias"}

LOW_TO_HIGH: Final = ("low", "medium", "high")
NONE_TO_XHIGH: Final = ("none", *LOW_TO_HIGH, "xhigh")


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of the models whose names begin so."""

    pattern: re.Pattern[str]
    rule: ModelRule
    source: str
    """The page or report that says so."""
    date: str
    """When it was read, or reported: `2026-11`."""
    hosts: frozenset[str] = NO_FIELDS
    """The presets or dialects of which it is true; empty for all."""


def make_row(pattern: str, rule: ModelRule, source: str, date: str, *hosts: str) -> Row:
    return Row(re.compile(pattern), rule, source, date, frozenset(hosts))


# --- OpenAI --------------------------------------------------------------------------------------

REASONING_GUIDE: Final = "https://platform.openai.com/docs/guides/reasoning"
AZURE_GUIDE: Final = "https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning"
STOP_REFERENCE: Final = "https://platform.openai.com/docs/api-reference/chat/create"
EFFORTS_PAGE: Final = (
    "https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort"
)
TOOLS_REPORT: Final = "https://github.com/openai/openai-openapi/issues/541"
NONE_REPORT: Final = "https://github.com/BerriAI/litellm/pull/34569"

EARLY: Final = ModelRule(
    reasoning="always",
    refused_while_reasoning=SAMPLING_FIELDS | {"prediction"},
    max_tokens_field="max_completion_tokens",
    efforts=LOW_TO_HIGH,
)
"""The first reasoning models, which take `stop`."""


def make_openai(
    reasoning: Reasoning,
    efforts: tuple[str, ...] = (),
    tools_with_effort: ToolsWithEffort = "any",
) -> ModelRule:
    """A reasoning model of OpenAI since o3."""
    return replace(
        EARLY,
        refused_while_reasoning=EARLY.refused_while_reasoning | {"stop"},
        reasoning=reasoning,
        efforts=efforts,
        tools_with_effort=tools_with_effort,
    )


WITHOUT_EFFORT: Final = ModelRule(reasoning="never", refused=EFFORT)

OPENAI: Final = (
    make_row(
        r"o1-(mini|preview)",
        replace(
            EARLY,
            refused=EFFORT | {"parallel_tool_calls"},
            roles={"system": "user", "developer": "user"},
        ),
        REASONING_GUIDE, "2026-11",
    ),
    make_row(
        r"(o1|o3-mini)(-|$)", replace(EARLY, refused=frozenset({"parallel_tool_calls"})),
        AZURE_GUIDE, "2026-11",
    ),
    make_row(r"o\d(-|$)", make_openai("always", LOW_TO_HIGH), STOP_REFERENCE, "2026-11"),
    # On Bedrock they refuse sampling and `stop` at every effort.
    make_row(
        r"gpt-[5-9]",
        ModelRule(reasoning="on", refused=TEMPERATURE | {"stop"}),
        "https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html", "2026-11",
        "bedrock",
    ),
    make_row(r"gpt-5-chat", WITHOUT_EFFORT, REASONING_GUIDE, "2026-11"),
    make_row(
        r"gpt-(5|4o|4o-mini)-search",
        replace(WITHOUT_EFFORT, refused=EFFORT | TEMPERATURE | PENALTIES),
        "https://platform.openai.com/docs/guides/tools-web-search", "2026-11",
    ),
    make_row(r"gpt-5\.\d-chat", make_openai("always"), REASONING_GUIDE, "2026-11"),
    make_row(r"gpt-5-pro", make_openai("always", ("high",)), EFFORTS_PAGE, "2026-11"),
    make_row(
        r"gpt-5\.\d-pro|gpt-5(\.[12])?-codex", make_openai("always"), REASONING_GUIDE, "2026-11"
    ),
    make_row(
        r"gpt-5(-|$)", make_openai("always", ("minimal", *LOW_TO_HIGH)), EFFORTS_PAGE, "2026-11"
    ),
    make_row(r"gpt-5\.1", make_openai("off", ("none", *LOW_TO_HIGH)), EFFORTS_PAGE, "2026-11"),
    make_row(r"gpt-5\.[23]", make_openai("off", NONE_TO_XHIGH), EFFORTS_PAGE, "2026-11"),
    # These two gateways send such a request to the Responses API, which takes both.
    make_row(
        r"gpt-5\.4", make_openai("off", NONE_TO_XHIGH),
        "https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", "2026-11",
        "openrouter", "vercel",
    ),
    make_row(r"gpt-5\.4", make_openai("off", NONE_TO_XHIGH, "omitted"), TOOLS_REPORT, "2026-05"),
    make_row(r"gpt-6-astra|gpt-6\.1-sol", make_openai("always"), REASONING_GUIDE, "2026-11"),
    make_row(
        r"gpt-(5\.[5-9]|[6-9])", make_openai("on"),
        "https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", "2026-11",
        "openrouter", "vercel",
    ),
    make_row(
        r"gpt-5\.5", make_openai("on", NONE_TO_XHIGH, "omitted"),
        "https://github.com/charmbracelet/crush/issues/2913", "2026-05",
    ),
    make_row(
        r"gpt-5\.6", make_openai("on", NONE_TO_XHIGH, "none"),
        "https://github.com/livekit/agents/pull/7169", "2026-09",
    ),
    make_row(r"gpt-(5\.[7-9]|[6-9])", make_openai("on", (), "none"), NONE_REPORT, "2026-07"),
    make_row(
        r"(chatgpt-|gpt-)(3|4)", replace(WITHOUT_EFFORT, refused=EFFORT | {"verbosity"}),
        STOP_REFERENCE, "2026-11",
    ),
    make_row(
        r"gpt-oss", ModelRule(efforts=LOW_TO_HIGH),
        "https://console.groq.com/docs/reasoning", "2026-11",
    ),
)  # fmt: skip

# --- Anthropic -----------------------------------------------------------------------------------

CLAUDE_GUIDE: Final = "https://platform.claude.com/docs/en/about-claude/models/migration-guide"
CLAUDE: Final = (
    make_row(
        r"claude-(([a-z]+-)?(4[-.]([7-9]|\d\d)|[5-9]|\d\d)(?!\d)|(?!instant)[a-z-]+$)",
        ModelRule(refused=TEMPERATURE | {"top_k"}), CLAUDE_GUIDE, "2026-11",
    ),
    make_row(
        r"claude-([a-z]+-)?4[-.][1-6](?!\d)",
        ModelRule(exclusive=("temperature", "top_p")), CLAUDE_GUIDE, "2026-11",
    ),
)  # fmt: skip

# --- xAI -----------------------------------------------------------------------------------------

GROK_GUIDE: Final = "https://docs.x.ai/docs/guides/reasoning"
GROK_MATRIX: Final = "https://github.com/NousResearch/hermes-agent/pull/23435"
GROK: Final = ModelRule(reasoning="always", refused=PENALTIES | {"stop"})
GROK_WITHOUT_EFFORT: Final = replace(GROK, refused=GROK.refused | EFFORT)

XAI: Final = (
    make_row(r"grok-[\d.]+(-\w+)*-non-reasoning", WITHOUT_EFFORT, GROK_MATRIX, "2026-05"),
    make_row(r"grok-3-mini", replace(GROK, efforts=("low", "high")), GROK_GUIDE, "2026-11"),
    make_row(r"grok-3", WITHOUT_EFFORT, GROK_MATRIX, "2026-05"),
    make_row(
        r"grok-4\.20?-multi-agent", replace(GROK, efforts=(*LOW_TO_HIGH, "xhigh")),
        "https://github.com/enricoros/big-AGI/issues/1104", "2026-05",
    ),
    make_row(
        r"grok-4(\.1)?(-|$)|grok-4\.20?(-|$)|grok-code|grok-build-\d", GROK_WITHOUT_EFFORT,
        GROK_MATRIX, "2026-05",
    ),
    make_row(
        r"grok-4\.3", replace(GROK, efforts=("none", *LOW_TO_HIGH)),
        "https://docs.x.ai/developers/model-capabilities/text/reasoning", "2026-05",
    ),
    make_row(
        r"grok-4\.5", replace(GROK, efforts=LOW_TO_HIGH),
        "https://github.com/Wei-Shaw/sub2api/issues/4409", "2026-07",
    ),
    make_row(
        r"grok-4\.6", replace(GROK, efforts=("minimal", *LOW_TO_HIGH, "xhigh")),
        "https://github.com/decolua/9router/issues/3514", "2026-08",
    ),
    make_row(r"grok-([4-9]|build|latest)", GROK, GROK_GUIDE, "2026-11"),
)  # fmt: skip

# --- models whose reasoning has to go back -------------------------------------------------------

DEEPSEEK_GUIDE: Final = "https://api-docs.deepseek.com/guides/thinking_mode"
DEEPSEEK: Final = ModelRule(
    reasoning="on",
    reasoning_field="reasoning_content",
    needs_reasoning=True,
    thinking="thinking",
)
KIMI_MATRIX: Final = "https://platform.kimi.ai/docs/guide/use-thinking-effort"
EARLY_DEEPSEEK: Final = replace(DEEPSEEK, takes_empty_reasoning=True)
"""V4 Pro is the first that refuses an empty text, says hermes-agent's pull request 18263
(2026-05)."""
KIMI: Final = EARLY_DEEPSEEK
KIMI_AT_MOONSHOT: Final = replace(KIMI, refused=TEMPERATURE | PENALTIES)
"""The sampling of these models is fixed: 1.0 while they think, 0.6 otherwise."""
KEPT: Final = ModelRule(reasoning="on", reasoning_field="reasoning_content")
"""A model that thinks worse without its earlier reasoning, but goes on without it."""

REASONING_BACK: Final = (
    make_row(
        r"deepseek-reasoner", replace(EARLY_DEEPSEEK, refused=LOGPROBS), DEEPSEEK_GUIDE, "2026-11"
    ),
    make_row(
        r"deepseek([-.]r1|[-.]v[12]|[-.]v3([-.]1|-0324|-v1|$)|-(coder|llm|math|ocr|prover|vl))",
        NO_RULE, "https://docs.together.ai/docs/reasoning-overview", "2026-11",
    ),
    make_row(
        r"deepseek(-chat|[-.]v3[-.]2)", replace(EARLY_DEEPSEEK, reasoning="off"),
        DEEPSEEK_GUIDE, "2026-11",
    ),
    make_row(r"deepseek", DEEPSEEK, DEEPSEEK_GUIDE, "2026-11"),
    make_row(
        r"kimi-k2\.[56]", KIMI_AT_MOONSHOT, "https://github.com/theopenco/llmgateway/pull/2159",
        "2026-05", "moonshot", "",
    ),
    make_row(
        r"(kimi-k(2\.[7-9]|[3-9])|kimi-for-coding|k3)", replace(
            KIMI_AT_MOONSHOT, reasoning="always", efforts=("low", "high", "max"),
        ),
        "https://github.com/shandianshuo/shandianshuo-releases/issues/13", "2026-08",
        "moonshot", "",
    ),
    make_row(
        r"kimi-k2-thinking|kimi-k(2\.[7-9]|[3-9])", replace(KIMI, reasoning="always"),
        KIMI_MATRIX, "2026-11",
    ),
    make_row(r"kimi-k2\.[56]", KIMI, KIMI_MATRIX, "2026-11"),
    make_row(
        r"mimo-v[2-9]", DEEPSEEK,
        "https://platform.xiaomimimo.com/docs/en-US/usage-guide/passing-back-reasoning_content",
        "2026-05",
    ),
    make_row(
        r"(zai-)?glm-?(4\.[5-9]|[5-9])", KEPT,
        "https://docs.z.ai/guides/capabilities/thinking-mode", "2026-11",
    ),
    make_row(
        r"minimax-m[2-9]", replace(KEPT, reasoning="always"),
        "https://docs.vllm.ai/en/v0.17.1/features/interleaved_thinking/", "2026-11",
    ),
    make_row(
        r"qwen-?3-[\d.]+b(-a\d+b)?$", replace(KEPT, thinks_only_in_streams=True),
        "https://github.com/QuantumNous/new-api/pull/1109", "2025-05", "qwen",
    ),
    make_row(
        r"qwen-?3", replace(KEPT, efforts=("none",)),
        "https://console.groq.com/docs/reasoning", "2026-11", "groq",
    ),
    make_row(r"qwen-?3[^/]*-(instruct|coder|embedding)", NO_RULE,
        "https://docs.vllm.ai/en/v0.26.0/features/reasoning_outputs/", "2026-11",
    ),
    make_row(
        r"(qwen-?3|qwq)", KEPT, "https://help.aliyun.com/en/model-studio/deep-thinking", "2026-11"
    ),
)  # fmt: skip

# --- others --------------------------------------------------------------------------------------

MISTRAL_MATRIX: Final = "https://github.com/anomalyco/models.dev/pull/1986"
COHERE_MODELS: Final = "https://docs.cohere.com/docs/models"
AS_USER: Final = {"system": "user", "developer": "user"}

OTHERS: Final = (
    # It accepts a user right after results, as ruby_llm recorded in 2026-08.
    make_row(
        r"mistral-small", ModelRule(efforts=("none", "high"), user_after_tools=True),
        MISTRAL_MATRIX, "2026-06", "mistral",
    ),
    make_row(
        r"mistral-medium|magistral-small", ModelRule(efforts=("none", "high")),
        MISTRAL_MATRIX, "2026-06", "mistral",
    ),
    make_row(
        r"mistral-(large|tiny)|magistral|codestral|devstral|ministral|pixtral|voxtral|open-mi",
        ModelRule(refused=EFFORT), "https://github.com/NousResearch/hermes-agent/issues/11243",
        "2026-04", "mistral",
    ),
    make_row(
        r"command-(r|light|nightly)|command-a-(03-2025|vision|translate)|(c4ai-)?aya",
        WITHOUT_EFFORT, COHERE_MODELS, "2026-11",
    ),
    make_row(
        r"gemini-(?!2\.0)", ModelRule(refused=PENALTIES),
        "https://github.com/google-gemini/cookbook/issues/1290", "2026-07", "gemini",
    ),
    make_row(
        r"gemma-3", ModelRule(roles=AS_USER, refused=frozenset({"tools"})),
        "https://github.com/BerriAI/litellm/issues/10313", "2026-11", "gemini",
    ),
    make_row(
        r"gemma-?(2|3|7b|1)", ModelRule(roles=AS_USER),
        "https://ai.google.dev/gemma/docs/core/prompt-structure#system-instructions", "2026-11",
    ),
)  # fmt: skip

ROWS: Final = (*OPENAI, *CLAUDE, *XAI, *REASONING_BACK, *OTHERS)


def rename_roles(
    messages: Sequence[Mapping[str, Any]], roles: Mapping[str, str]
) -> Sequence[Mapping[str, Any]]:
    """The messages in the roles that the model takes."""
    if not roles:
        return messages
    return [{**each, "role": roles.get(each["role"], each["role"])} for each in messages]


@lru_cache(maxsize=1024)
def find_row(model: str, vendor: str = "", dialect: str = "") -> Row | None:
    """The row of a model at a provider of this preset and dialect; None if nothing is known."""
    name = bare_name(model)
    return next(
        (
            row
            for row in ROWS
            if row.pattern.match(name)
            and (not row.hosts or vendor in row.hosts or dialect in row.hosts)
        ),
        None,
    )


def find_rule(target: Target) -> ModelRule:
    """What the model of this target refuses or needs."""
    provider = target.provider
    return _find_rule(
        target.model,
        target.known_model,
        provider.vendor,
        provider.dialect,
        provider.model_overrides,
    )


@lru_cache(maxsize=2048)
def _find_rule(
    model: str,
    known_model: str,
    vendor: str,
    dialect: str,
    overrides: tuple[ModelOverride, ...],
) -> ModelRule:
    row = find_row(known_model, vendor, dialect)
    rule = NO_RULE if row is None else row.rule
    for override in reversed(overrides):
        if override.matches(model, known_model):
            rule = override.apply(rule)
    return rule
