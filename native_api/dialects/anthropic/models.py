"""What differs by model on Anthropic's wire: thinking, output limits, schemas. A name that is not a
Claude's belongs to another vendor that speaks this wire. Fields that models refuse on every wire
are in `shared.model_rules`.

Sources: https://platform.claude.com/docs/en/models/overview, /build-with-claude/thinking,
/build-with-claude/effort, /build-with-claude/structured-outputs,
/build-with-claude/mid-conversation-system-messages and the migration guides of each model (read
2026-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from native_api.types import Json

Generation = tuple[int, int]
Thinking = Literal["never", "by budget", "adaptive"]

MODEL_NAME: Final = re.compile(r"claude-(?:([a-z]+)-)?v?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
LATEST_GENERATION: Final[Generation] = (5, 0)
"""The generation of a Claude whose name has no number."""
OTHER_VENDOR: Final[Generation] = (0, 0)
"""The generation of a model that is not a Claude."""

THINKING_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_000,
    "max": 32_000,
}
"""`reasoning_effort` -> tokens of thinking, for models that think by budget."""
MIN_THINKING_BUDGET: Final = 1024
"""Tokens. The API refuses less."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one model can do. `output_limit` is the most tokens that it can write, or near it: the
    API refuses more."""

    generation: Generation
    family: str
    output_limit: int
    thinking: Thinking
    has_schemas: bool
    """Whether it has structured output and strict tools."""
    takes_forced_tools: bool
    takes_system_turns: bool
    """Whether instructions may stand in the middle of a conversation."""
    takes_effort: bool
    """Whether it has `output_config.effort`."""

    def nearest_effort(self, effort: str) -> str:
        """The effort nearest to `effort` that the model accepts."""
        if effort == "minimal":
            return "low"
        return "max" if effort == "xhigh" and self.generation < (4, 7) else effort

    def without_thinking(self) -> tuple[Json, bool]:
        """What to add to the body so that the model does not think, and whether that really turns
        thinking off."""
        if OTHER_VENDOR < self.generation < (5, 0):
            return {}, True  # it thinks only when asked to
        if self.family in ("fable", "mythos") or (
            self.family == "opus" and self.generation > (5, 0)
        ):
            return {"output_config": {"effort": "low"}}, False
        if self.family == "sonnet" and self.generation > (5, 0):
            return {"thinking": {"type": "between_tools"}}, True
        return {"thinking": {"type": "disabled"}}, True

    def adaptive_thinking(self) -> Json:
        """The `thinking` of a model that decides itself how much to think.

        From 4.7 on, the text of thoughts is left out unless `display` asks for it. It becomes the
        reply's `reasoning_content`.
        """
        return (
            {"type": "adaptive"}
            if self.generation < (4, 7)
            else {"type": "adaptive", "display": "summarized"}
        )


@lru_cache(maxsize=1024)
def read_abilities(model: str) -> Abilities:
    """The abilities of a model, read from its name."""
    family, generation = _parse_name(model)
    return Abilities(
        generation=generation,
        family=family,
        output_limit=_output_limit(family, generation),
        thinking=_thinking(generation),
        has_schemas=generation >= (4, 5) or (family == "opus" and generation == (4, 1)),
        takes_forced_tools=generation < (5, 1),
        takes_system_turns=generation >= (4, 8),
        takes_effort=generation >= (4, 6) or (family == "opus" and generation == (4, 5)),
    )


def _parse_name(model: str) -> tuple[str, Generation]:
    """`("opus", (4, 5))` for `claude-opus-4-5-20251101`; `("", (0, 0))` for another vendor's
    model."""
    match = MODEL_NAME.search(model)
    if match:
        return match[1] or "", (int(match[2]), int(match[3] or 0))
    family = model.partition("claude-")[2].partition("-")[0]
    return (family, LATEST_GENERATION) if family else ("", OTHER_VENDOR)


def _output_limit(family: str, generation: Generation) -> int:
    if generation == OTHER_VENDOR:
        return 32_000
    if generation < (3, 5):
        return 4096
    if generation < (3, 7):
        return 8192
    return 32_000 if family == "opus" and generation < (4, 5) else 64_000


def _thinking(generation: Generation) -> Thinking:
    if OTHER_VENDOR < generation < (3, 7):
        return "never"
    return "by budget" if generation < (4, 6) else "adaptive"
