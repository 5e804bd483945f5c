"""What differs by model on this wire alone. What models refuse is in `shared.model_rules`."""

from __future__ import annotations

import re
from typing import Final

from native_api.types.model_rules import bare_name

BREAKPOINTS: Final = re.compile(r"gpt-(5\.[6-9]|[6-9])")
"""Models with explicit cache breakpoints: https://platform.openai.com/docs/guides/prompt-caching
(2026-11)."""


def takes_breakpoints(model: str) -> bool:
    return bool(BREAKPOINTS.match(bare_name(model)))
