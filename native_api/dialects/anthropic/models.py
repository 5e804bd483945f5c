"""What differs by model behind Anthropic's wire. Names that are no Claude's come from other vendors
that speak it.

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

NAME: Final = re.compile(r"claude-(?:([a-z]+)-)?v?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
LATEST: Final = (5, 0)
"""What a Claude's name without a number stands for."""

Generation = tuple[int, int]
Thinking = Literal["never", "by budget", "adaptive"]
Sampling = Literal["any", "one of two", "none"]

BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_000,
    "max": 32_000,
}
LEAST_BUDGET: Final = 1024


@dataclass(frozen=True, slots=True)
class Abilities:
    """`output_limit` in tokens is what the model can write at most, or near it: more would be
    refused."""

    generation: Generation
    family: str
    output_limit: int
    thinking: Thinking
    sampling: Sampling
    has_schemas: bool
    """Structured output of its own, and strict tools."""
    takes_forced_tools: bool
    takes_system_turns: bool
    """Instructions in the middle of a conversation stay there."""

    def effort(self, wanted: str) -> str:
        """The nearest of the efforts that the model knows."""
        if wanted == "minimal":
            return "low"
        return "max" if wanted == "xhigh" and self.generation < (4, 7) else wanted

    def without_thinking(self) -> tuple[Json, bool]:
        """What to add to the body so that the model does not think, and whether it does just
        that."""
        if (0, 0) < self.generation < (5, 0):
            return {}, True  # it thinks only when asked to
        if self.family in ("fable", "mythos") or (
            self.family == "opus" and self.generation > (5, 0)
        ):
            return {"output_config": {"effort": "low"}}, False
        if self.family == "sonnet" and self.generation > (5, 0):
            return {"thinking": {"type": "between_tools"}}, True
        return {"thinking": {"type": "disabled"}}, True

    def adaptive(self) -> Json:
        """From 4.7 on the text of thoughts is left out unless it is asked for; it is the reply's
        `reasoning_content`."""
        return (
            {"type": "adaptive"}
            if self.generation < (4, 7)
            else {"type": "adaptive", "display": "summarized"}
        )


@lru_cache(maxsize=1024)
def abilities(model: str) -> Abilities:
    family, generation = _named(model)
    return Abilities(
        generation=generation,
        family=family,
        output_limit=_output_limit(family, generation),
        thinking=_thinking(generation),
        sampling="any" if generation < (4, 1) else "one of two" if generation < (4, 7) else "none",
        has_schemas=generation >= (4, 5) or (family == "opus" and generation == (4, 1)),
        takes_forced_tools=generation < (5, 1),
        takes_system_turns=generation >= (4, 8),
    )


def _named(model: str) -> tuple[str, Generation]:
    """`("opus", (4, 5))` for `claude-opus-4-5-20251101`; `("", (0, 0))` for other vendors'
    models."""
    found = NAME.search(model)
    if found:
        return found[1] or "", (int(found[2]), int(found[3] or 0))
    family = model.partition("claude-")[2].partition("-")[0]
    return (family, LATEST) if family else ("", (0, 0))


def _output_limit(family: str, generation: Generation) -> int:
    if generation == (0, 0):
        return 32_000
    if generation < (3, 5):
        return 4096
    if generation < (3, 7):
        return 8192
    return 32_000 if family == "opus" and generation < (4, 5) else 64_000


def _thinking(generation: Generation) -> Thinking:
    if (0, 0) < generation < (3, 7):
        return "never"
    return "by budget" if generation < (4, 6) else "adaptive"
