"""Amazon Bedrock's Converse and ConverseStream:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11).

Here: addresses and the body's frame. Beside it: `bedrock_messages` (turns, with `bedrock_media` and
`bedrock_replay`), `bedrock_tools` (with `bedrock_schema`), `bedrock_models` (what differs by maker
and model), `bedrock_stream` (replies, with `bedrock_blocks` and `bedrock_reply`) and
`bedrock_errors`. Requests are signed by `engine.aws`.

What has no unified field comes through `provider_options`: `guardrailConfig`, `promptVariables`,
`additionalModelResponseFieldPaths`, `additionalModelRequestFields` such as `{"top_k": 20}` or
`{"anthropic_beta": […]}`, and in `toolConfig.tools` tools of Amazon's own, such as `{"systemTool":
{"name": "nova_code_interpreter"}}`, which are added to the request's functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast
from urllib.parse import quote

from native_api.dialects.base import Dialect, Framing, StreamParser, merge_options
from native_api.dialects.bedrock.errors import read_error
from native_api.dialects.bedrock.messages import MessageTranslator, in_words
from native_api.dialects.bedrock.models import (
    ONE_SAMPLING,
    SAMPLING,
    WITHOUT_SAMPLING,
    WITHOUT_STOP,
    reasoning,
)
from native_api.dialects.bedrock.schema import text_format
from native_api.dialects.bedrock.stream import BedrockStream, build_reply
from native_api.dialects.bedrock.tools import Toolbox
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import DIALECT_FIELDS, ChatCompletion, ChatRequest, Json, Target

HINTS: Final = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "prediction", "user", "safety_identifier",
        "prompt_cache_key", "store",
    }
)  # fmt: skip
REFUSED: Final = frozenset({"n", "logprobs", "top_logprobs", "audio"})

MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
SERVICE_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})
UNIFIED: Final = {"temperature": "temperature", "topP": "top_p"}
METADATA_KEY: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
METADATA_VALUE: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


class Bedrock(Dialect):
    name = "bedrock"
    framing: ClassVar[Framing] = "eventstream"
    renamed_fields: ClassVar[Mapping[str, str]] = {}
    omitted_fields = HINTS
    refused_fields = REFUSED
    translated_fields = DIALECT_FIELDS - HINTS - REFUSED

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        functions = body.get("toolConfig", {}).get("tools", [])
        merge_options(body, options)
        own = options.get("toolConfig")
        if isinstance(own, Mapping) and isinstance(own.get("tools"), list):
            body["toolConfig"]["tools"] = [*functions, *own["tools"]]

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        said = _said(chat, target)
        check_text_only(said)
        conversation = _conversation(said, target)
        toolbox = Toolbox(said, target.model, conversation)
        body["messages"] = (
            in_words(conversation.turns, conversation.called)
            if toolbox.is_quiet
            else conversation.turns
        )
        if conversation.system:
            body["system"] = conversation.system
        if toolbox.config:
            body["toolConfig"] = toolbox.config
        if (told := text_format(said, target.model)) is not None:
            body["outputConfig"] = {"textFormat": told}
        _infer(said, target.model, toolbox, body, omitted)
        _account(said, body, omitted)
        omitted += sorted(conversation.omitted)

    def url(self, chat: ChatRequest, target: Target) -> str:
        """An ARN is one segment of the path. A colon stays one: what is signed has to be what is
        sent, and the transport unquotes it."""
        if not MODEL.fullmatch(target.model):
            raise UnsupportedField("model", "this provider has no model of such a name")
        method = "converse-stream" if chat.get("stream") else "converse"
        return f"{target.provider.base_url}/model/{quote(target.model, safe=':')}/{method}"

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return BedrockStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _said(chat: ChatRequest, target: Target) -> ChatRequest:
    """The fields that count: not null, and not among those that this provider was said to
    refuse."""
    unsupported = target.provider.quirks.unsupported
    return cast(
        ChatRequest,
        {
            name: value
            for name, value in chat.items()
            if value is not None and name not in unsupported
        },
    )


def _conversation(said: ChatRequest, target: Target) -> MessageTranslator:
    conversation = MessageTranslator(target.model)
    conversation.add(said["messages"])
    return conversation


def _infer(said: ChatRequest, model: str, toolbox: Toolbox, body: Json, omitted: list[str]) -> None:
    """`inferenceConfig`, and the model's own fields."""
    config: Json = {
        "maxTokens": read_max_tokens(said),
        "temperature": said.get("temperature"),
        "topP": said.get("top_p"),
    }
    config = {name: value for name, value in config.items() if value is not None}
    if read_stop_sequences(said):
        config["stopSequences"] = _stops(said, model)
    fields = dict(toolbox.fields)
    forbidden: tuple[str, ...] = SAMPLING if WITHOUT_SAMPLING.search(model) else ()
    if "reasoning_effort" in said:
        told = reasoning(
            model,
            said["reasoning_effort"],
            read_max_tokens(said),
            toolbox.is_forced,
            _has_lost_thinking(body["messages"]),
        )
        fields |= told.fields
        forbidden += told.forbids
        omitted += [] if told.is_exact else ["reasoning_effort"]
    if ONE_SAMPLING.search(model) and "temperature" in config and not forbidden:
        forbidden = ("topP",)
    omitted += [
        UNIFIED[name] for name in dict.fromkeys(forbidden) if config.pop(name, None) is not None
    ]
    if config:
        body["inferenceConfig"] = config
    if fields:
        body["additionalModelRequestFields"] = fields


def _has_lost_thinking(turns: list[Json]) -> bool:
    """Whether the calls that are answered last came back without the thinking that led to them:
    Claude goes on without it, or not at all (see `anthropic`, whose rule this is).
    """
    if len(turns) < 2 or "toolResult" not in turns[-1]["content"][0]:
        return False
    return "reasoningContent" not in turns[-2]["content"][0]


def _stops(said: ChatRequest, model: str) -> list[str]:
    if WITHOUT_STOP.search(model):
        raise UnsupportedField("stop", "this model takes no stop sequences")
    return read_stop_sequences(said)


def _account(said: ChatRequest, body: Json, omitted: list[str]) -> None:
    """`service_tier`, and what is written into the account's invocation logs."""
    tier = said.get("service_tier", "auto")
    if tier in SERVICE_TIERS:
        body["serviceTier"] = {"type": tier}
    elif tier != "auto":
        omitted.append("service_tier")
    metadata: Mapping[str, Any] = said.get("metadata") or {}
    fitting = {
        key: value
        for key, value in metadata.items()
        if METADATA_KEY.fullmatch(key) and METADATA_VALUE.fullmatch(value)
    }
    if fitting:
        body["requestMetadata"] = fitting
    if len(fitting) < len(metadata):
        omitted.append("metadata")
