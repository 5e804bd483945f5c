"""Anthropic Messages: https://platform.claude.com/docs/en/api/messages (read 2026-11).

This module holds the addresses and the frame of the body; each other module of the package holds
one part of it, named by the file. What differs most from the unified format: instructions are not
part of the conversation, turns alternate, tool results are the first blocks of the user's turn, an
output limit is required, and thinking is a mode.

What has no unified field comes through `provider_options`: `cache_control`, `context_management`,
`thinking`, built-in tools and members of the request's own tools (`{"tools": [{"name": "f",
"defer_loading": true}]}`). Beta features are named in `betas`, as in Anthropic's SDKs; the beta
that one of these options needs is added without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic.betas import beta_header, betas_for_options, check_betas
from native_api.dialects.anthropic.errors import read_error
from native_api.dialects.anthropic.forward import edit_body, mark_message
from native_api.dialects.anthropic.messages import (
    MessageTranslator,
    find_container,
    has_lost_thinking,
)
from native_api.dialects.anthropic.models import (
    MIN_THINKING_BUDGET,
    THINKING_BUDGETS,
    Abilities,
    read_abilities,
)
from native_api.dialects.anthropic.reply import build_reply
from native_api.dialects.anthropic.stream import AnthropicStream
from native_api.dialects.anthropic.stream_editor import AnthropicStreamEditor
from native_api.dialects.anthropic.token_counting import build_count_request
from native_api.dialects.anthropic.tools import (
    add_response_format,
    add_tools,
    is_forced,
    merge_tools,
)
from native_api.dialects.base import Dialect
from native_api.dialects.shared import gateway_owned, unknown_members
from native_api.dialects.shared.call_ids import CLAUDE_IDS, CallIdRule
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_options import find_provider_options, merge_options
from native_api.dialects.shared.request_fields import (
    check_text_only,
    is_model_default,
    read_max_tokens,
    read_stop_sequences,
    read_thinking_budget,
)
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target, UpstreamRequest
from native_api.types.chat import REASONING_EXTENSIONS, SAMPLING_EXTENSIONS
from native_api.types.model_rules import ModelRule

API_VERSION: Final = "2023-06-01"

SERVICE_TIERS: Final = {"auto": "auto", "default": "standard_only"}
"""OpenAI's name of a service tier -> Anthropic's."""


class Anthropic(Dialect):
    """Anthropic's Messages API."""

    name = wire = "anthropic"
    native_format = "anthropic"
    owned_members = gateway_owned.ANTHROPIC
    expressed_members = frozenset({unknown_members.BREAKPOINT})
    renamed_fields = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k"}
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
            "parallel_tool_calls", "response_format", "reasoning_effort", "user",
            "safety_identifier", "service_tier", "web_search_options", "modalities",
            *REASONING_EXTENSIONS,
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "seed", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity",
            "prediction", "metadata", "prompt_cache_key", "prompt_cache_retention",
            "prompt_cache_options", "moderation", "store", *(SAMPLING_EXTENSIONS - {"top_k"}),
        }
    )  # fmt: skip
    refused_fields = frozenset({"n", "logprobs", "top_logprobs", "audio"})
    reasoning_members = frozenset({"max_tokens"})
    remote_files = frozenset({"image_url", "file"})
    count_member = "input_tokens"

    def url(self, chat: ChatRequest, target: Target) -> str:
        return f"{target.provider.base_url}/messages"

    def call_id_rule(self, target: Target) -> CallIdRule:
        return CLAUDE_IDS

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        return {"anthropic-version": API_VERSION}

    def read_options(self, chat: ChatRequest, target: Target) -> Json:
        options = super().read_options(chat, target)
        name, _ = find_provider_options(chat, target)
        check_betas(options.get("betas"), f"provider_options.{name}.betas")
        return options

    def pop_headers(self, body: Json) -> dict[str, str]:
        return beta_header(body.pop("betas"))

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        abilities, rule = read_abilities(target.known_model), find_rule(target)
        body["model"] = target.model
        _add_messages(chat, abilities, body, omitted)
        body["max_tokens"] = read_max_tokens(chat) or abilities.output_limit
        if chat.get("stream"):
            body["stream"] = True
        if read_stop_sequences(chat):
            body["stop_sequences"] = read_stop_sequences(chat)
        _add_account_fields(chat, body, omitted)
        add_tools(chat, abilities, body, omitted)
        add_response_format(chat, abilities, body)
        _add_reasoning(chat, abilities, rule, body, omitted)
        _remove_forbidden_sampling(rule, body, omitted)

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        tools, betas = body.get("tools") or [], body["betas"]
        merge_options(body, options)
        if isinstance(options.get("tools"), list):
            body["tools"] = merge_tools(tools, options["tools"])
        body["betas"] = [*betas, *(options.get("betas") or ()), *betas_for_options(options)]

    def edit_client_body(self, body: Json, target: Target, omitted: list[str]) -> Json:
        return edit_body(body, target, self.issuer(target), omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def forward_reply(self, body: Json, target: Target) -> Json:
        marked: Json = mark_message(body, self.issuer(target))
        return marked

    def stream(self, target: Target) -> StreamParser:
        return AnthropicStream()

    def editor(self, target: Target, body: Json) -> AnthropicStreamEditor | None:
        parser = self.stream(target)
        if not isinstance(parser, AnthropicStream):
            return None
        return AnthropicStreamEditor(parser, self.issuer(target))

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        return build_count_request(request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _add_messages(chat: ChatRequest, abilities: Abilities, body: Json, omitted: list[str]) -> None:
    """Add `messages`, `system`, `container`, and the `betas` that they need."""
    translator = MessageTranslator(abilities.takes_system_turns)
    translator.translate(chat["messages"])
    body["messages"], body["betas"] = translator.turns, translator.betas
    if translator.system:
        body["system"] = translator.system
    omitted += sorted(translator.omitted)
    container = find_container(chat["messages"])
    if container:
        body["container"] = container


def _add_account_fields(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    """Add the end user's id, and the service tier."""
    user = chat.get("safety_identifier") or chat.get("user")
    if user:
        body["metadata"] = {"user_id": user}
    tier = chat.get("service_tier")
    if tier in SERVICE_TIERS:
        body["service_tier"] = SERVICE_TIERS[tier]
    elif tier:
        omitted.append("service_tier")


# --- thinking ------------------------------------------------------------------------------------


def _add_reasoning(
    chat: ChatRequest, abilities: Abilities, rule: ModelRule, body: Json, omitted: list[str]
) -> None:
    """Add `reasoning_effort` as thinking, in the way that the model takes it. It is reported as
    omitted if the model can only come near it.

    Together with a forced call any thinking is a 400
    (https://github.com/can1357/oh-my-pi/issues/341, 2026-03, and similar reports since).
    """
    effort = chat.get("reasoning_effort")
    if rule.can_stop_reasoning(effort) and _forbids_thinking(body):
        body["thinking"] = {"type": "disabled"}
        omitted.append("reasoning_effort")
        return
    if effort is None:
        return
    if effort == "none" or is_forced(body.get("tool_choice", {})):
        members, is_exact = abilities.without_thinking()
        is_exact = is_exact and effort == "none"
        merge_options(body, members)
    elif abilities.thinking == "adaptive":
        nearest = abilities.nearest_effort(effort)
        thinking = abilities.adaptive_thinking()
        merge_options(body, {"thinking": thinking, "output_config": {"effort": nearest}})
        is_exact = nearest == effort and read_thinking_budget(chat) is None
    else:
        is_exact = abilities.thinking == "by budget" and _add_thinking_budget(
            read_thinking_budget(chat) or THINKING_BUDGETS[effort], body
        )
    if not is_exact:
        omitted.append("reasoning_effort")


def _forbids_thinking(body: Json) -> bool:
    """Whether another vendor's model cannot think in this turn: a call is forced, or one came back
    without its thinking.

    DeepSeek answers 400 to both (https://github.com/deepseek-ai/DeepSeek-V3/issues/1376, 2026-08).
    """
    return is_forced(body.get("tool_choice", {})) or any(
        turn["role"] == "assistant"
        and any(block["type"] == "tool_use" for block in turn["content"])
        and turn["content"][0]["type"] not in ("thinking", "redacted_thinking")
        for turn in body["messages"]
    )


def _add_thinking_budget(wanted: int, body: Json) -> bool:
    """Let the model think with a budget of tokens, but leave a fifth of `max_tokens` for the
    answer. Returns whether the budget is the wanted one."""
    budget: int = min(wanted, body["max_tokens"] * 4 // 5)
    if budget < MIN_THINKING_BUDGET or has_lost_thinking(body["messages"]):
        return False
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return budget == wanted


def _remove_forbidden_sampling(rule: ModelRule, body: Json, omitted: list[str]) -> None:
    """Leave out the sampling parameters that thinking forbids, or that the model does not take
    together."""
    forbidden = set(rule.excess_fields(body))
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        forbidden = (
            {"temperature"} if 0.95 <= body.get("top_p", 0) <= 1 else {"temperature", "top_p"}
        ) | {"top_k"}
    omitted += [
        name
        for name in sorted(forbidden & body.keys())
        if not is_model_default(name, body.pop(name))
    ]
