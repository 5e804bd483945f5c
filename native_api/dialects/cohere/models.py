"""What depends on the model: whether it thinks, and how long.

Source: https://docs.cohere.com/docs/models (2026-11).
"""

from __future__ import annotations

import re
from typing import Final

from native_api.types import ChatRequest, Json

MODELS_WITHOUT_REASONING: Final = re.compile(
    r"command-(r|light|nightly)|command-a-(03-2025|vision|translate)|aya"
)
"""All later models have reasoning, and use it unless it is disabled."""

THINKING_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
}
"""Effort -> tokens of thinking. `max` has no budget: the model thinks as long as it needs."""


def add_reasoning(chat: ChatRequest, model: str, body: Json, omitted: list[str]) -> None:
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    if MODELS_WITHOUT_REASONING.search(model):
        if effort != "none":
            omitted.append("reasoning_effort")
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    else:
        body["thinking"] = {"type": "enabled"}
        if effort in THINKING_BUDGETS:
            body["thinking"]["token_budget"] = THINKING_BUDGETS[effort]
