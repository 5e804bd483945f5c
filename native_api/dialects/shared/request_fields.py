"""Fields of the unified request that several wires read alike: hints, defaults, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.model_rules import find_rule
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Target
from native_api.types.chat import EXTENSION_FIELDS

HINT_FIELDS = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "temperature", "top_p",
        "verbosity", "reasoning_effort", "parallel_tool_calls", "prediction", "metadata", "user",
        "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
        "moderation", "service_tier", "store", *EXTENSION_FIELDS,
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


MODEL_DEFAULTS: Mapping[str, float] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}


def is_model_default(name: str, value: Any) -> bool:
    """Whether a field that a model refuses asks for what it does anyway: the models without
    sampling parameters have a `temperature` and a `top_p` of 1, and no model has penalties."""
    return name in MODEL_DEFAULTS and value == MODEL_DEFAULTS[name]


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


def read_thinking_budget(chat: ChatRequest) -> int | None:
    """The client's limit of thinking in tokens; None if it set none."""
    budget = (chat.get("reasoning") or {}).get("max_tokens")
    return budget if isinstance(budget, int) and budget > 0 else None


def unify_sampling(chat: ChatRequest) -> ChatRequest:
    """The chat without a `top_k` of 0 or -1, with which vLLM and others say that it is off, and
    with one name for the penalty that has two."""
    fields: Any = chat
    penalty = fields.get("repeat_penalty")
    is_off = isinstance(fields.get("top_k"), int) and fields["top_k"] <= 0
    if not is_off and penalty is None:
        return chat
    fields = {
        name: value
        for name, value in fields.items()
        if name != "repeat_penalty" and not (name == "top_k" and is_off)
    }
    if penalty is not None and fields.get("repetition_penalty") is None:
        fields["repetition_penalty"] = penalty
    unified: ChatRequest = fields
    return unified


def disable_storing(chat: ChatRequest, target: Target, omitted: list[str]) -> ChatRequest:
    """Ask the provider not to store: all callers of its key could read what it stores."""
    if not chat.get("store") or target.provider.own_account:
        return chat
    omitted.append("store")
    return {**chat, "store": False}


def leave_out_needless_effort(chat: ChatRequest, target: Target) -> ChatRequest:
    """Leave out an effort of `none` for a model that never reasons: that changes nothing."""
    if chat.get("reasoning_effort") != "none" or find_rule(target).reasoning != "never":
        return chat
    return {**chat, "reasoning_effort": None}  # type: ignore[typeddict-item]
