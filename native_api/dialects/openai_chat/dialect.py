"""OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat (read 2026-11).

The unified format is this wire's own. So most of the work is to leave out our extensions, and to
accept the replies of "compatible" servers, which differ in roles, names, errors and usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from native_api.dialects.base import Dialect
from native_api.dialects.openai_chat.effort import (
    add_effort,
    find_placeholder,
    find_reasoning_field,
    plan_effort,
)
from native_api.dialects.openai_chat.embeddings import (
    build_embeddings_body,
    build_embeddings_reply,
)
from native_api.dialects.openai_chat.messages import MessageTranslator
from native_api.dialects.openai_chat.models import has_search, takes_breakpoints
from native_api.dialects.openai_chat.reply import build_reply
from native_api.dialects.openai_chat.stream import OpenAIStream
from native_api.dialects.openai_chat.stream_editor import OpenAIStreamEditor
from native_api.dialects.openai_chat.tools import (
    add_tools,
    force_answer_tool,
    supports_response_format,
)
from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.body_inspection import refuse_provider_state
from native_api.dialects.shared.call_ids import OPENAI_IDS, SHORT_IDS, CallIdRule, exact_ids
from native_api.dialects.shared.errors import is_error, read_embedded_error, read_error
from native_api.dialects.shared.json_values import encode
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_options import merge_options
from native_api.dialects.shared.reasoning_request import unify_reasoning
from native_api.dialects.shared.request_fields import read_max_tokens
from native_api.dialects.shared.tool_rules import ToolRules, find_tool_rules
from native_api.dialects.shared.urls import build_url
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import (
    DIALECT_FIELDS,
    ChatCompletion,
    ChatRequest,
    EmbeddingsReply,
    EmbeddingsRequest,
    Json,
    Target,
    UpstreamRequest,
)
from native_api.types.chat import REASONING_EXTENSIONS, UNIFIED_FIELDS

TRANSLATED_FIELDS = frozenset(
    {
        "messages", "tools", "tool_choice", "response_format", "reasoning_effort", "max_tokens",
        "max_completion_tokens",
    }
)  # fmt: skip


OUTPUT_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
"""Vendors take one of the two, and may refuse the other even if it is null."""
NULLABLE_FIELDS = DIALECT_FIELDS - OUTPUT_LIMITS

USAGE_OPTION = gateway_owned.normalize_name("include_usage")

OLD_DEPLOYMENTS = frozenset({"azure", "azure-deployments"})
"""Presets with deployments that may still take only short ids of tool calls."""


class OpenAI(Dialect):
    """OpenAI's Chat Completions, for OpenAI and all compatible vendors."""

    name = "openai"
    wire = "openai_chat"
    owned_members = gateway_owned.OPENAI
    keeps_unknown_members = True
    translated_fields = TRANSLATED_FIELDS
    renamed_fields = {name: name for name in DIALECT_FIELDS - TRANSLATED_FIELDS}
    remote_files = frozenset({"image_url", "video_url", "audio_url"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        return build_url(target, "/chat/completions")

    def call_id_rule(self, target: Target) -> CallIdRule:
        length = target.provider.quirks.call_id_length
        if length:
            return exact_ids(length)
        return SHORT_IDS if target.provider.vendor in OLD_DEPLOYMENTS else OPENAI_IDS

    def has_search(self, target: Target) -> bool:
        vendor = target.provider.vendor
        return super().has_search(target) and has_search(vendor, target.known_model)

    def unsupported_fields(self, chat: ChatRequest, target: Target) -> frozenset[str]:
        unsupported = super().unsupported_fields(chat, target)
        excess = find_rule(target).excess_fields(chat)
        return unsupported | frozenset(excess) if excess else unsupported

    def planned_effort(self, chat: ChatRequest, target: Target) -> str | None:
        return plan_effort(chat, target).effort

    def tool_rules(self, target: Target) -> ToolRules:
        return find_tool_rules(target.provider.quirks.tool_rules, target.known_model)

    def rename_fields(
        self, chat: ChatRequest, unsupported: frozenset[str], omitted: list[str]
    ) -> Json:
        """The fields as they are, those that are null included."""
        body = super().rename_fields(chat, unsupported, omitted)
        for name, value in chat.items():
            if value is None and name in NULLABLE_FIELDS and name not in unsupported:
                body[name] = value
        return body

    def add_unknown_fields(
        self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]
    ) -> None:
        """The fields as they are, unless one decides about something that the gateway owns:
        vendors of this wire have many fields of their own, and of tools."""
        fields = {
            name: value
            for name, value in chat.items()
            if name not in UNIFIED_FIELDS and value is not None
        }
        tools = {"tools": chat["tools"]} if chat.get("tools") else {}
        self.owned_members.check_options({**fields, **tools}, "", target.provider.own_account)
        refused = fields.keys() & self.unsupported_fields(chat, target)
        omitted += sorted(refused)
        body.update({name: value for name, value in fields.items() if name not in refused})

    def unify_extensions(
        self, chat: ChatRequest, target: Target, omitted: list[str]
    ) -> ChatRequest:
        """Only for the fields that the vendor does not take: the others are its own words."""
        kept = REASONING_EXTENSIONS - target.provider.quirks.unsupported
        if not target.provider.quirks.unsupported and _is_translated_reasoning(chat):
            kept -= {"reasoning"}
        return unify_reasoning(chat, frozenset(), omitted, kept)

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        unsupported = self.unsupported_fields(chat, target)
        fields = {
            name: value
            for name, value in chat.items()
            if value is not None and name not in unsupported
        }
        body["model"] = target.model
        body["messages"] = _build_messages(chat, target, unsupported, omitted)
        add_tools(fields, target.provider.quirks.extensions, unsupported, body, omitted)
        if supports_response_format(fields, unsupported):
            body["response_format"] = fields["response_format"]
        elif "response_format" in fields:
            force_answer_tool(chat, unsupported, body)
        add_effort(plan_effort(chat, target), target, body, omitted)
        _add_output_limit(chat, target, body)
        _add_stream(chat, target, body)
        for name, other in target.provider.quirks.renamed.items():
            if name in body:
                body[other] = body.pop(name)

    def forward(self, body: Json, target: Target) -> UpstreamRequest:
        """The body with the edits that a unified request gets: the format is this wire's own."""
        chat: Any = body
        return self.request(chat, target)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body, target.provider.quirks)

    def embeddings_request(self, request: EmbeddingsRequest, target: Target) -> UpstreamRequest:
        body = build_embeddings_body(request, target)
        fields: Any = request  # `provider_options` are those of a chat
        merge_options(body, self.read_options(fields, target))
        content = encode(body)
        if not target.provider.own_account:
            refuse_provider_state(body, content, fields)
        return UpstreamRequest(build_url(target, "/embeddings"), body, content=content)

    def embeddings_reply(self, body: Json, target: Target) -> EmbeddingsReply:
        if is_error(body):
            raise read_embedded_error(body)
        return build_embeddings_reply(body, target)

    def stream(self, target: Target) -> StreamParser:
        return OpenAIStream(target.provider.quirks)

    def editor(self, target: Target, body: Json) -> OpenAIStreamEditor | None:
        parser = self.stream(target)
        if not isinstance(parser, OpenAIStream):
            return None
        keeps_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return OpenAIStreamEditor(parser, keeps_usage)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _is_translated_reasoning(chat: ChatRequest) -> bool:
    """Whether `reasoning` only says what a client of Responses or Messages wants beside the effort.
    Strict servers refuse it."""
    members = (chat.get("reasoning") or {}).keys()
    is_budget = "max_tokens" in members and chat.get("reasoning_effort") is not None
    return members <= {"summary", "max_tokens"} and ("summary" in members or is_budget)


def _build_messages(
    chat: ChatRequest, target: Target, unsupported: frozenset[str], omitted: list[str]
) -> list[Json]:
    quirks, rule = target.provider.quirks, find_rule(target)
    if rule.user_after_tools:
        quirks = replace(quirks, user_after_tools=True)
    translator = MessageTranslator(
        quirks,
        {**quirks.roles, **rule.roles},
        unsupported,
        takes_breakpoints(target.known_model),
        find_reasoning_field(target),
        find_placeholder(target),
    )
    translator.add(chat["messages"])
    omitted += sorted(translator.omitted)
    return translator.messages


def _add_output_limit(chat: ChatRequest, target: Target, body: Json) -> None:
    limit = read_max_tokens(chat)
    if limit is None:
        return
    rule, quirks = find_rule(target), target.provider.quirks
    name = (
        ("max_tokens_field" in rule.changed and rule.max_tokens_field)
        or quirks.max_tokens_field
        or rule.max_tokens_field
        or ("max_completion_tokens" if chat.get("max_completion_tokens") else "max_tokens")
    )
    body[name] = limit


def _add_stream(chat: ChatRequest, target: Target, body: Json) -> None:
    if "stream" in chat:
        body["stream"] = chat["stream"]
    if chat.get("stream") and target.provider.quirks.stream_usage:
        options = {
            name: value
            for name, value in (chat.get("stream_options") or {}).items()
            if gateway_owned.normalize_name(name) != USAGE_OPTION  # Some servers ignore case.
        }
        body["stream_options"] = {**options, "include_usage": True}
