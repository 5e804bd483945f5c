"""Amazon Bedrock's Converse and ConverseStream:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11).

This module holds the addresses and the frame of the body; each other module of the package holds
one part of it, named by the file. Requests are signed by `upstream.auth`.

What has no unified field comes through `provider_options`: `guardrailConfig`, `promptVariables`,
`additionalModelResponseFieldPaths`, `additionalModelRequestFields` such as `{"top_k": 20}` or
`{"anthropic_beta": […]}`, and in `toolConfig.tools` tools of Amazon's own, such as `{"systemTool":
{"name": "nova_code_interpreter"}}`, which are added to the request's functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from native_api.dialects.anthropic.bedrock import AnthropicBedrock
from native_api.dialects.anthropic.betas import (
    REFUSED_BY_CONVERSE,
    betas_for_options,
    check_betas,
    drop_refused_betas,
)
from native_api.dialects.base import Dialect, Framing
from native_api.dialects.bedrock.addresses import build_model_url, name_issuer
from native_api.dialects.bedrock.errors import read_error
from native_api.dialects.bedrock.messages import MessageTranslator
from native_api.dialects.bedrock.models import (
    build_reasoning,
    build_top_k,
    read_maker,
)
from native_api.dialects.bedrock.reply import build_reply
from native_api.dialects.bedrock.schema import build_text_format
from native_api.dialects.bedrock.stream import BedrockStream
from native_api.dialects.bedrock.token_counting import build_count_request
from native_api.dialects.bedrock.tool_history import write_as_text
from native_api.dialects.bedrock.tools import (
    ToolConfigBuilder,
    can_search,
    read_option_tools,
    read_tool_names,
)
from native_api.dialects.shared import gateway_owned, unknown_members
from native_api.dialects.shared.call_ids import CLAUDE_IDS, CallIdRule
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_options import merge_options
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
    read_thinking_budget,
)
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import (
    DIALECT_FIELDS,
    ChatCompletion,
    ChatRequest,
    Json,
    Target,
    UpstreamRequest,
)
from native_api.types.chat import SAMPLING_EXTENSIONS

OMITTED_FIELDS: Final = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "prediction",
        "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options", "moderation", "store", *(SAMPLING_EXTENSIONS - {"top_k"}),
    }
)  # fmt: skip
REFUSED_FIELDS: Final = frozenset({"n", "logprobs", "top_logprobs", "audio"})

SERVICE_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})
UNIFIED_NAMES: Final = {"temperature": "temperature", "topP": "top_p"}
"""Bedrock's name of a sampling parameter -> the unified one."""
METADATA_KEY: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
METADATA_VALUE: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


CALL_IDS: Final = {
    "anthropic": CLAUDE_IDS,
    "mistral": CallIdRule(re.compile(r"[a-zA-Z0-9]{9}|tooluse_[a-zA-Z0-9_.:-]{1,56}"), "", 9),
}
"""Maker -> the ids of tool calls that its models take."""
OTHER_CALL_IDS: Final = CallIdRule(re.compile(r"[a-zA-Z0-9_.:-]{1,64}"))
"""The documented pattern has no dots and colons, but Kimi's own ids on Bedrock have them."""


CLAUDE: Final = AnthropicBedrock()


class Bedrock(Dialect):
    """Amazon Bedrock's Converse API."""

    name = "bedrock"
    framing: ClassVar[Framing] = "eventstream"
    owned_members = gateway_owned.BEDROCK
    expressed_members = frozenset({unknown_members.BREAKPOINT})
    renamed_fields: ClassVar[Mapping[str, str]] = {}
    omitted_fields = OMITTED_FIELDS
    refused_fields = REFUSED_FIELDS
    translated_fields = DIALECT_FIELDS - OMITTED_FIELDS - REFUSED_FIELDS
    reasoning_members = frozenset({"max_tokens"})
    count_member = "inputTokens"

    def issuer(self, target: Target) -> str:
        return name_issuer(target)

    def has_search(self, target: Target) -> bool:
        return can_search(target.model)

    def call_id_rule(self, target: Target) -> CallIdRule:
        return CALL_IDS.get(read_maker(target.known_model), OTHER_CALL_IDS)

    def forwarder(self, wire: str, target: Target) -> Dialect | None:
        """Clients of Anthropic's API reach Claude in their own words, by InvokeModel."""
        is_claude = read_maker(target.known_model) == "anthropic"
        return CLAUDE.forwarder(wire, target) if is_claude else None

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        functions = body.get("toolConfig", {}).get("tools", [])
        merge_options(body, options)
        added = read_option_tools(options)
        if added:
            names = read_tool_names(added)
            kept = [tool for tool in functions if not names & read_tool_names([tool])]
            body["toolConfig"]["tools"] = [*kept, *added]

    def drop_refused(self, body: Json, target: Target) -> list[str]:
        """Add the betas that Claude's own fields need, and leave out those that Converse refuses
        together with their betas."""
        fields = body.get("additionalModelRequestFields")
        if read_maker(target.known_model) != "anthropic" or not isinstance(fields, dict):
            return []
        named = fields.get("anthropic_beta")
        check_betas(named, "additionalModelRequestFields.anthropic_beta")
        own = {name: value for name, value in fields.items() if name != "anthropic_beta"}
        own["betas"] = [*(named or ()), *betas_for_options(own)]
        dropped = drop_refused_betas(own, REFUSED_BY_CONVERSE)
        betas = list(dict.fromkeys(own.pop("betas")))
        own |= {"anthropic_beta": betas} if betas else {}
        body["additionalModelRequestFields"] = own
        if not own:
            del body["additionalModelRequestFields"]
        return dropped

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        fields = _read_fields(chat)
        check_text_only(fields)
        model = target.known_model
        translator = MessageTranslator(model)
        translator.translate(fields["messages"])
        option_tools = read_option_tools(self.read_options(chat, target))
        tools = ToolConfigBuilder(fields, model, translator, option_tools)
        body["messages"] = (
            write_as_text(translator.turns, translator.tool_names)
            if tools.needs_text_history
            else translator.turns
        )
        if translator.system:
            body["system"] = translator.system
        if tools.config:
            body["toolConfig"] = tools.config
        if (text_format := build_text_format(fields, model)) is not None:
            body["outputConfig"] = {"textFormat": text_format}
        _add_inference_config(fields, target, tools, body, omitted)
        _add_account_fields(fields, body, omitted)
        omitted += sorted(translator.omitted)

    def url(self, chat: ChatRequest, target: Target) -> str:
        return build_model_url(target, "converse-stream" if chat.get("stream") else "converse")

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return BedrockStream()

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        return build_count_request(request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _read_fields(chat: ChatRequest) -> ChatRequest:
    """The fields of the request that are not null."""
    return cast(ChatRequest, {name: value for name, value in chat.items() if value is not None})


def _add_inference_config(
    fields: ChatRequest, target: Target, tools: ToolConfigBuilder, body: Json, omitted: list[str]
) -> None:
    """Add `inferenceConfig`, and `additionalModelRequestFields`, the model's own fields."""
    config = _build_inference_config(fields)
    model_fields = dict(tools.model_fields)
    forbidden: tuple[str, ...] = ()
    if "reasoning_effort" in fields:
        reasoning = build_reasoning(
            target.known_model,
            fields["reasoning_effort"],
            read_max_tokens(fields),
            tools.must_call,
            _has_lost_thinking(body["messages"]),
            read_thinking_budget(fields),
        )
        model_fields |= reasoning.fields
        forbidden += reasoning.forbidden
        has_budget = "budget_tokens" in reasoning.fields.get("thinking", ())
        is_exact = reasoning.is_exact and (has_budget or read_thinking_budget(fields) is None)
        omitted += [] if is_exact else ["reasoning_effort"]
    if not forbidden:
        excess = find_rule(target).excess_fields(fields)
        forbidden = tuple(name for name, unified in UNIFIED_NAMES.items() if unified in excess)
    removed = [name for name in dict.fromkeys(forbidden) if config.pop(name, None) is not None]
    omitted += [UNIFIED_NAMES[name] for name in removed]
    _add_top_k(fields, target.known_model, "temperature" not in forbidden, model_fields, omitted)
    if config:
        body["inferenceConfig"] = config
    if model_fields:
        body["additionalModelRequestFields"] = model_fields


def _add_top_k(
    fields: ChatRequest, model: str, is_allowed: bool, model_fields: Json, omitted: list[str]
) -> None:
    top_k = fields.get("top_k")
    if top_k is None:
        return
    members = build_top_k(model, top_k) if is_allowed else None
    if members is None:
        omitted.append("top_k")
    else:
        merge_options(model_fields, members)


def _build_inference_config(fields: ChatRequest) -> Json:
    config: Json = {
        "maxTokens": read_max_tokens(fields),
        "temperature": fields.get("temperature"),
        "topP": fields.get("top_p"),
    }
    config = {name: value for name, value in config.items() if value is not None}
    if read_stop_sequences(fields):
        config["stopSequences"] = read_stop_sequences(fields)
    return config


def _has_lost_thinking(turns: list[Json]) -> bool:
    """Whether the calls answered by the last turn came back without the thinking that led to them.
    Claude then continues without thinking, or not at all (see the same rule of `anthropic`)."""
    if len(turns) < 2 or "toolResult" not in turns[-1]["content"][0]:
        return False
    return "reasoningContent" not in turns[-2]["content"][0]


def _add_account_fields(fields: ChatRequest, body: Json, omitted: list[str]) -> None:
    """Add the service tier, and the metadata that is written into the account's invocation logs."""
    tier = fields.get("service_tier", "auto")
    if tier in SERVICE_TIERS:
        body["serviceTier"] = {"type": tier}
    elif tier != "auto":
        omitted.append("service_tier")
    metadata: Mapping[str, Any] = fields.get("metadata") or {}
    accepted = {
        key: value
        for key, value in metadata.items()
        if METADATA_KEY.fullmatch(key) and METADATA_VALUE.fullmatch(value)
    }
    if accepted:
        body["requestMetadata"] = accepted
    if len(accepted) < len(metadata):
        omitted.append("metadata")
