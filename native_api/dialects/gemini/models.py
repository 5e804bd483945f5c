"""What depends on the model: its generation, and how its thinking is configured.

Sources: https://ai.google.dev/gemini-api/docs/thinking,
https://ai.google.dev/gemini-api/docs/openai#thinking (how Google itself maps `reasoning_effort`)
and https://cloud.google.com/vertex-ai/generative-ai/docs/thinking (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Final

from native_api.types import Json

GENERATION: Final = re.compile(r"gemini-(\d+(?:\.\d+)?)")

LATEST_GENERATION: Final = 3.0
"""The generation assumed for names without a number, such as `gemini-flash-latest`."""

FIRST_THINKING_GENERATION: Final = 2.5
"""The first generation that can think."""

THINKING_BUDGETS: Final = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
}
"""Effort -> tokens of thinking, for generation 2.5."""

MIN_PRO_BUDGET: Final = 128
"""Tokens. Pro models take 128 to 32768."""

MAX_FLASH_BUDGET: Final = 24576
"""Tokens. Flash models take 0 to 24576."""

THINKING_LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
}
"""Effort -> thinking level, for generation 3 and later."""


def read_generation(model: str) -> float:
    """2.5 for `gemini-2.5-pro`, 3.0 for `gemini-3-flash-preview`, 0.0 for a model that is not a
    Gemini."""
    match = GENERATION.search(model)
    if match:
        return float(match[1])
    return LATEST_GENERATION if "gemini-" in model else 0.0


def build_thinking_config(
    model: str, effort: str, tokens: int | None = None
) -> tuple[Json | None, bool]:
    """The `thinkingConfig` for an effort, and whether it matches the effort exactly. None for
    models that do not think. `tokens` is the client's own budget, which generation 3 does not take.

    Thoughts are requested with every effort except `none`: they are the reply's
    `reasoning_content`.
    """
    generation = read_generation(model)
    if 0 < generation < FIRST_THINKING_GENERATION or effort not in THINKING_BUDGETS:
        return None, False
    config, is_exact = (
        _build_level(model, effort) if generation >= 3 else _build_budget(model, effort, tokens)
    )
    if effort != "none":
        config["includeThoughts"] = True
    return config, is_exact and (tokens is None or "thinkingBudget" in config)


def _build_level(model: str, effort: str) -> tuple[Json, bool]:
    """Generation 3 and later cannot stop thinking. Its Pro models have no level below LOW, and 3.0
    Pro has none between LOW and HIGH."""
    level = THINKING_LEVELS[effort]
    if level == "MINIMAL" and "-pro" in model:
        level = "LOW"
    elif level == "MEDIUM" and "gemini-3-pro" in model:
        level = "HIGH"
    return {"thinkingLevel": level}, level.lower() == effort


def _build_budget(model: str, effort: str, tokens: int | None) -> tuple[Json, bool]:
    tokens = THINKING_BUDGETS[effort] if tokens is None or effort == "none" else tokens
    budget = max(tokens, MIN_PRO_BUDGET) if "-pro" in model else min(tokens, MAX_FLASH_BUDGET)
    return {"thinkingBudget": budget}, budget == tokens
