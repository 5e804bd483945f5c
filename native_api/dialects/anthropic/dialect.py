"""Anthropic Messages: https://platform.claude.com/docs/en/api/messages (read 2026-11).

Here: addresses and the body's frame. Beside it: `anthropic_messages` (with `anthropic_parts`),
`anthropic_tools` (with `anthropic_schema`), `anthropic_models` (what differs by model),
`anthropic_stream` and `anthropic_reply` (what comes back, with `anthropic_blocks` and
`anthropic_usage`), `anthropic_errors` and `anthropic_betas`.

What differs most from the unified shape: instructions stand apart from the conversation, turns
alternate, tool results are part of the user's turn and come first in it, an output limit is
required, and thinking is a mode of its own.

What has no unified field comes through `provider_options`: `cache_control`, `context_management`,
`thinking`, built-in tools and members of the request's own tools (`{"tools": [{"name": "f",
"defer_loading": true}]}`). Beta features are named in `betas`, as in Anthropic's SDKs; the header
that those features need is sent without that too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic.betas import check_named, header_of, of_options
from native_api.dialects.anthropic.errors import read_error
from native_api.dialects.anthropic.messages import MessageTranslator, container_of
from native_api.dialects.anthropic.models import BUDGETS, LEAST_BUDGET, Abilities, abilities
from native_api.dialects.anthropic.reply import build_reply
from native_api.dialects.anthropic.stream import AnthropicStream
from native_api.dialects.anthropic.tools import add_tools, is_forced, joined, shape_answer
from native_api.dialects.base import Dialect, StreamParser, find_provider_options, merge_options
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target

VERSION: Final = "2023-06-01"

SERVICE_TIERS: Final = {"auto": "auto", "default": "standard_only"}

DEFAULT_SAMPLING: Final = 1
"""What every model takes for `temperature` and `top_p`: the same as nothing."""


class Anthropic(Dialect):
    name = "anthropic"
    renamed_fields = {"temperature": "temperature", "top_p": "top_p"}
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format",
            "reasoning_effort", "user", "safety_identifier", "service_tier", "web_search_options", "modalities",
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "seed", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "prediction", "metadata", "prompt_cache_key",
            "store",
        }
    )  # fmt: skip
    refused_fields = frozenset({"n", "logprobs", "top_logprobs", "audio"})
    remote_files = frozenset({"image_url", "file"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        return f"{target.provider.base_url}/messages"

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        return {"anthropic-version": VERSION}

    def read_options(self, chat: ChatRequest, target: Target) -> Json:
        options = super().read_options(chat, target)
        check_named(
            options.get("betas"), f"provider_options.{find_provider_options(chat, target)[0]}.betas"
        )
        return options

    def pop_headers(self, body: Json) -> dict[str, str]:
        return header_of(body.pop("betas"))

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        can = abilities(target.model)
        conversation = MessageTranslator(can.takes_system_turns)
        conversation.add(chat["messages"])
        body["model"], body["messages"], body["betas"] = (
            target.model,
            conversation.turns,
            conversation.betas,
        )
        if conversation.system:
            body["system"] = conversation.system
        omitted += sorted(conversation.omitted)
        container = container_of(chat["messages"])
        if container:
            body["container"] = container
        body["max_tokens"] = read_max_tokens(chat) or can.output_limit
        if chat.get("stream"):
            body["stream"] = True
        if read_stop_sequences(chat):
            body["stop_sequences"] = read_stop_sequences(chat)
        _identify(chat, body, omitted)
        add_tools(chat, can, body, omitted)
        shape_answer(chat, can, body)
        _think(chat, can, body, omitted)
        _sample(can, body, omitted)

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        tools, betas = body.get("tools") or [], body["betas"]
        merge_options(body, options)
        if isinstance(options.get("tools"), list):
            body["tools"] = joined(tools, options["tools"])
        body["betas"] = [*betas, *(options.get("betas") or ()), *of_options(body)]

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return AnthropicStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _identify(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    user = chat.get("safety_identifier") or chat.get("user")
    if user:
        body["metadata"] = {"user_id": user}
    tier = chat.get("service_tier")
    if tier in SERVICE_TIERS:
        body["service_tier"] = SERVICE_TIERS[tier]
    elif tier:
        omitted.append("service_tier")


# --- thinking ----------------------------------------------------------------------------------------------


def _think(chat: ChatRequest, can: Abilities, body: Json, omitted: list[str]) -> None:
    """`reasoning_effort` as thinking, in the way the model takes it; reported where it is not quite
    that.

    Beside a forced call any thinking is a 400 (https://github.com/can1357/oh-my-pi/issues/341,
    2026-03, and the like since).
    """
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    if effort == "none" or is_forced(body.get("tool_choice", {})):
        added, is_exact = can.without_thinking()
        is_exact = is_exact and effort == "none"
        merge_options(body, added)
    elif can.thinking == "adaptive":
        nearest = can.effort(effort)
        merge_options(body, {"thinking": can.adaptive(), "output_config": {"effort": nearest}})
        is_exact = nearest == effort
    else:
        is_exact = can.thinking == "by budget" and _set_budget(BUDGETS[effort], body)
    if not is_exact:
        omitted.append("reasoning_effort")


def _set_budget(wanted: int, body: Json) -> bool:
    """Think within a budget, of which the answer must leave a part."""
    budget: int = min(wanted, body["max_tokens"] * 4 // 5)
    if budget < LEAST_BUDGET or _lost_its_thinking(body["messages"]):
        return False
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return budget == wanted


def _lost_its_thinking(turns: list[Json]) -> bool:
    """Whether the calls that are answered last came back without the thinking that led to them, as
    clients that don't know it send them. To models that think by budget that is a 400: such a turn
    is ended without thinking
    (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#extended-thinking-with-tool-use,
    read 2026-11).
    """
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")


def _sample(can: Abilities, body: Json, omitted: list[str]) -> None:
    """Leave out the sampling that the model, or thinking, forbids."""
    forbidden: set[str] = set()
    if can.sampling == "none":
        forbidden = {"temperature", "top_p"}
    elif body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        forbidden = (
            {"temperature"} if 0.95 <= body.get("top_p", 0) <= 1 else {"temperature", "top_p"}
        )
    elif can.sampling == "one of two" and "temperature" in body:
        forbidden = {"top_p"}
    omitted += [
        name for name in sorted(forbidden & body.keys()) if body.pop(name) != DEFAULT_SAMPLING
    ]
