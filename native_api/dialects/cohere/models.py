"""How long a model thinks. Those without thinking are in `shared.model_rules`.

Source: https://docs.cohere.com/docs/models (2026-11).
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.request_fields import read_thinking_budget
from native_api.types import ChatRequest, Json

THINKING_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
}
"""Effort -> tokens of thinking. `max` has no budget: the model thinks as long as it needs."""


def add_reasoning(chat: ChatRequest, body: Json) -> None:
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    else:
        body["thinking"] = {"type": "enabled"}
        budget = read_thinking_budget(chat) or THINKING_BUDGETS.get(effort)
        if budget:
            body["thinking"]["token_budget"] = budget
