"""What depends on the model behind the wire: its generation, and how it is told to think.

Sources: https://ai.google.dev/gemini-api/docs/thinking,
https://ai.google.dev/gemini-api/docs/openai#thinking (Google's own reading of `reasoning_effort`)
and https://cloud.google.com/vertex-ai/generative-ai/docs/thinking (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Final

from native_api.types import Json

GENERATION: Final = re.compile(r"gemini-(\d+(?:\.\d+)?)")
LATEST: Final = 3.0
"""The least that a name without a number (`gemini-flash-latest`) stands for."""

BUDGETS: Final = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
}
"""Tokens of thought for generation 2.5. Flash models take 0 to 24576, Pro models 128 to 32768."""

LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
}


def generation(model: str) -> float:
    """2.5 for `gemini-2.5-pro`, 3.0 for `gemini-3-flash-preview`; 0.0 for models that are no
    Gemini."""
    found = GENERATION.search(model)
    if found:
        return float(found[1])
    return LATEST if "gemini-" in model else 0.0


def thinking(model: str, effort: str) -> tuple[Json | None, bool]:
    """The `thinkingConfig` for an effort, and whether it says exactly that. None for models that do
    not think.

    Thoughts are asked for with every effort but `none`: they are the reply's `reasoning_content`.
    """
    number = generation(model)
    if 0 < number < 2.5 or effort not in BUDGETS:
        return None, False
    config, is_exact = _level(model, effort) if number >= 3 else _budget(model, effort)
    if effort != "none":
        config["includeThoughts"] = True
    return config, is_exact


def _level(model: str, effort: str) -> tuple[Json, bool]:
    """Generation 3 and later cannot stop thinking. Its Pro models know no level below LOW, and 3.0
    Pro none between that and HIGH."""
    level = LEVELS[effort]
    if level == "MINIMAL" and "-pro" in model:
        level = "LOW"
    elif level == "MEDIUM" and "gemini-3-pro" in model:
        level = "HIGH"
    return {"thinkingLevel": level}, level.lower() == effort


def _budget(model: str, effort: str) -> tuple[Json, bool]:
    wanted = BUDGETS[effort]
    budget = max(wanted, 128) if "-pro" in model else min(wanted, 24576)
    return {"thinkingBudget": budget}, budget == wanted
