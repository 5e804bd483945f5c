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


SEARCH_MODELS: Final = re.compile(r"search|^sonar")
"""Models that take `web_search_options`: OpenAI's answers 400 for all others
(https://platform.openai.com/docs/guides/tools-web-search, read 2026-11)."""
SEARCH_VENDORS: Final = frozenset({"openrouter", "perplexity"})
"""Vendors that take them for every model: https://openrouter.ai/docs/features/web-search and
https://docs.perplexity.ai/api-reference/chat-completions-post (read 2026-11)."""


def has_search(vendor: str, model: str) -> bool:
    return vendor in SEARCH_VENDORS or bool(SEARCH_MODELS.search(bare_name(model)))
