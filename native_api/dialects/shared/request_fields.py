"""Fields of the unified request that several wires read alike: hints, defaults, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest

HINT_FIELDS = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "temperature", "top_p",
        "verbosity", "reasoning_effort", "parallel_tool_calls", "prediction", "metadata", "user",
        "safety_identifier", "prompt_cache_key", "service_tier", "store",
    }
)  # fmt: skip
"""Fields whose loss changes how an answer is made or stored, but not its meaning."""


def is_hint(name: str) -> bool:
    return name in HINT_FIELDS


DEFAULT_VALUES: Mapping[str, Any] = {
    "n": 1,
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "modalities": ["text"],
}
"""Values that ask for what a model does anyway."""


def is_default(name: str, value: Any) -> bool:
    """Whether a field with this value may be left out without any effect.

    Empty `web_search_options` are not a default: they ask for a search with default options.
    """
    if name == "web_search_options":
        return False
    return value in (None, False, [], {}, "") or (
        name in DEFAULT_VALUES and value == DEFAULT_VALUES[name]
    )


def is_model_default(name: str, value: Any) -> bool:
    """Whether a field that a model refuses asks for what it does anyway: the models without
    sampling parameters have a `temperature` and a `top_p` of 1."""
    return name in ("temperature", "top_p") and value == 1


def read_stop_sequences(chat: ChatRequest) -> list[str]:
    """The client's `stop` as a list, empty without one."""
    stop = chat.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop)


def read_max_tokens(chat: ChatRequest) -> int | None:
    """The client's limit of output tokens by either of its names; None if it set none."""
    return chat.get("max_completion_tokens") or chat.get("max_tokens")


def check_text_only(chat: ChatRequest) -> None:
    """Raise UnsupportedField if `modalities` asks for more than text."""
    if set(chat.get("modalities") or ["text"]) != {"text"}:
        raise UnsupportedField("modalities", "this provider answers in text only")
