"""OpenAI's Responses API as an upstream: https://platform.openai.com/docs/api-reference/responses
(read 2026-11). OpenRouter, xAI, Azure, DeepSeek, vLLM and others have it too; some models have no
other API.

Nothing is stored at the provider unless the client asks for it. So reasoning comes encrypted, and
goes back with the next turn. Options without a unified field are set by `provider_options`:
`previous_response_id`, `conversation`, `truncation`, `background`, `reasoning.summary`, `include`
and built-in tools such as `{"tools": [{"type": "code_interpreter", …}]}`. The last two are added to
the request's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from native_api.dialects.base import Dialect
from native_api.dialects.openai_chat.models import takes_breakpoints
from native_api.dialects.openai_responses.errors import read_unfinished_state
from native_api.dialects.openai_responses.forward import edit_body, edit_response
from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.openai_responses.messages import MessageTranslator
from native_api.dialects.openai_responses.reasoning import ENCRYPTED_REASONING, may_reason
from native_api.dialects.openai_responses.reply import build_reply
from native_api.dialects.openai_responses.stream import ResponsesStream
from native_api.dialects.openai_responses.stream_editor import ResponsesStreamEditor
from native_api.dialects.openai_responses.token_counting import build_count_request
from native_api.dialects.openai_responses.tools import (
    build_text_options,
    build_tool_choice,
    build_tools,
)
from native_api.dialects.shared import gateway_owned, unknown_members
from native_api.dialects.shared.call_ids import OPENAI_IDS, CallIdRule
from native_api.dialects.shared.errors import read_error
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_content import read_own_reasoning
from native_api.dialects.shared.provider_options import merge_options
from native_api.dialects.shared.request_fields import check_text_only, read_max_tokens
from native_api.dialects.shared.tool_rules import TOOL_RULES, ToolRules
from native_api.dialects.shared.urls import build_url
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target, UpstreamRequest
from native_api.types.chat import REASONING_EXTENSIONS, SAMPLING_EXTENSIONS

RENAMED_FIELDS: Final = {
    name: name
    for name in (
        "temperature", "top_p", "parallel_tool_calls", "service_tier", "prompt_cache_key",
        "safety_identifier", "metadata", "user", "prompt_cache_retention", "prompt_cache_options",
        "moderation",
    )
}  # fmt: skip


class OpenAIResponses(Dialect):
    """OpenAI's Responses API."""

    name = wire = "openai_responses"
    owned_members = gateway_owned.OPENAI_RESPONSES
    expressed_members = frozenset({unknown_members.BREAKPOINT, unknown_members.BREAKPOINT_TTL})
    renamed_fields: ClassVar[Mapping[str, str]] = RENAMED_FIELDS
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice",
            "response_format", "reasoning_effort", "verbosity", "logprobs", "top_logprobs", "store",
            "web_search_options", "modalities", *REASONING_EXTENSIONS,
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "seed", "presence_penalty", "frequency_penalty", "logit_bias", "prediction",
            *SAMPLING_EXTENSIONS,
        }
    )  # fmt: skip
    reasoning_members = frozenset({"summary"})
    count_member = "input_tokens"
    refused_fields = frozenset({"n", "stop", "audio"})
    remote_files = frozenset({"image_url", "file"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        return build_url(target, "/responses")

    def tool_rules(self, target: Target) -> ToolRules:
        return TOOL_RULES["openai"]

    def call_id_rule(self, target: Target) -> CallIdRule:
        return OPENAI_IDS

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        """Merge the options; lists of tools and of `include` are appended to the body's."""
        lists = {name: body.get(name) or [] for name in ("tools", "include")}
        merge_options(body, options)
        for name, items in lists.items():
            added = options.get(name)
            if isinstance(added, list):
                body[name] = [*items, *(item for item in added if item not in items)]

    def _supported_fields(self, chat: ChatRequest, target: Target) -> Json:
        """The fields that are not null and that this target does not refuse."""
        unsupported = self.unsupported_fields(chat, target)
        return {
            name: value
            for name, value in chat.items()
            if value is not None and name not in unsupported
        }

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        fields = self._supported_fields(chat, target)
        body["model"] = target.model
        body["input"] = _build_input(chat, target, omitted)
        body["store"] = fields.get("store") is True
        for name, value in (
            ("tools", build_tools(fields)),
            ("text", build_text_options(fields)),
            ("include", _build_include(fields, target)),
        ):
            if value:
                body[name] = value
        if fields.get("tool_choice") is not None:
            body["tool_choice"] = build_tool_choice(fields["tool_choice"])
        if read_max_tokens(chat):
            body["max_output_tokens"] = read_max_tokens(chat)
        if fields.get("logprobs") and fields.get("top_logprobs"):
            body["top_logprobs"] = fields["top_logprobs"]
        _add_reasoning(fields, target, body, omitted)
        _add_stream(chat, body)

    def edit_client_body(self, body: Json, target: Target, omitted: list[str]) -> Json:
        return edit_body(body, target, self.issuer(target), omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def forward_reply(self, body: Json, target: Target) -> Json:
        edited: Json = edit_response(body, self.issuer(target), target.provider.own_account)
        return edited

    def unfinished_state(self, body: Any) -> str:
        return read_unfinished_state(body)

    def stream(self, target: Target) -> StreamParser:
        return ResponsesStream()

    def editor(self, target: Target, body: Json) -> ResponsesStreamEditor | None:
        parser = self.stream(target)
        if not isinstance(parser, ResponsesStream):
            return None
        return ResponsesStreamEditor(parser, self.issuer(target), target.provider.own_account)

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        return build_count_request(request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _build_input(chat: ChatRequest, target: Target, omitted: list[str]) -> list[Json]:
    roles = {**target.provider.quirks.roles, **find_rule(target).roles}
    translator = MessageTranslator(
        roles, chat.get("store") is True, takes_breakpoints(target.known_model)
    )
    translator.add(chat["messages"])
    omitted += sorted(translator.omitted)
    return translator.items


def _build_include(fields: Mapping[str, Any], target: Target) -> list[str]:
    include = []
    has_reasoned = any(read_own_reasoning(message, WIRE) for message in fields["messages"])
    reasons = may_reason(find_rule(target), fields.get("reasoning_effort"), has_reasoned)
    if fields.get("store") is not True and reasons:
        include.append(ENCRYPTED_REASONING)
    if fields.get("logprobs"):
        include.append("message.output_text.logprobs")
    return include


def _add_reasoning(
    fields: Mapping[str, Any], target: Target, body: Json, omitted: list[str]
) -> None:
    """Set the effort, and the summary if the client or the operator asks for one.

    Without it the wire returns no reasoning text. But nobody gets it unasked, because OpenAI then
    answers 400 to organizations that are not verified
    (https://github.com/OpenHands/software-agent-sdk/issues/987, 2025-11).
    """
    wanted = fields.get("reasoning_effort")
    effort = find_rule(target).nearest_effort(wanted) if wanted else None
    if effort != wanted:
        omitted.append("reasoning_effort")
    asked: Mapping[str, Any] = fields.get("reasoning") or {}
    summary = asked.get("summary") or (
        target.provider.options.get("reasoning_summary") if effort else None
    )
    if effort == "none":
        summary = None
    if effort or summary:
        reasoning = {"effort": effort, "summary": summary}
        body["reasoning"] = {name: value for name, value in reasoning.items() if value}


def _add_stream(chat: ChatRequest, body: Json) -> None:
    if chat.get("stream"):
        body["stream"] = True
        options = chat.get("stream_options") or {}
        if options.get("include_obfuscation") is not None:
            body["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
