"""Cohere's Chat API, version 2: https://docs.cohere.com/reference/chat (read 2026-11). The request;
see `cohere_messages` for the conversation, `cohere_reply` and `cohere_stream` for what comes back.

What has no unified field comes through `provider_options`: `documents` (added to those made of text
files), `citation_options`, `safety_mode`, `k`, `thinking.token_budget`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.base import Dialect, StreamParser, merge_options
from native_api.dialects.cohere.messages import MessageTranslator
from native_api.dialects.cohere.reply import build_reply, read_error
from native_api.dialects.cohere.stream import CohereStream
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    build_function_tool,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target

VERSION: Final = re.compile(r"/v\d\w*$")

NEVER_THINKS: Final = re.compile(
    r"command-(r|light|nightly)|command-a-(03-2025|vision|translate)|aya"
)
"""Models without reasoning (https://docs.cohere.com/docs/models, 2026-11); later ones all have it,
and use it unless told not to."""

BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576}
"""Tokens of thinking by effort. `max` has no budget: the model thinks as long as it needs."""


class Cohere(Dialect):
    name = "cohere"
    renamed_fields = {
        "temperature": "temperature",
        "top_p": "p",
        "seed": "seed",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "logprobs": "logprobs",
    }
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
            "response_format", "reasoning_effort", "modalities",
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier",
            "store",
        }
    )  # fmt: skip
    refused_fields = frozenset({"n", "top_logprobs", "audio", "web_search_options"})
    remote_files = frozenset({"image_url"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        base_url = target.provider.base_url
        return f"{base_url}/chat" if VERSION.search(base_url) else f"{base_url}/v2/chat"

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        documents = body.get("documents", [])
        merge_options(body, options)
        if isinstance(options.get("documents"), list):
            body["documents"] = [*documents, *options["documents"]]

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        body["model"] = target.model
        body["stream"] = bool(chat.get("stream"))
        conversation = _conversation(chat)
        body["messages"] = conversation.turns
        if conversation.documents:
            body["documents"] = conversation.documents
        omitted += sorted(conversation.omitted)
        if read_max_tokens(chat):
            body["max_tokens"] = read_max_tokens(chat)
        if read_stop_sequences(chat):
            body["stop_sequences"] = read_stop_sequences(chat)
        _tools(chat, body, omitted)
        _format(chat, body, bool(self.read_options(chat, target).get("documents")))
        _think(chat, target.model, body, omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return CohereStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _conversation(chat: ChatRequest) -> MessageTranslator:
    conversation = MessageTranslator()
    conversation.add(chat["messages"])
    return conversation


def _tools(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    tools = read_functions(chat, "Cohere")
    mode, name = read_tool_choice(chat)
    if mode == "function":
        tools = [tool for tool in tools if tool["function"]["name"] == name]
        if not tools:
            raise UnsupportedField("tool_choice", f"there is no function {name!r} among the tools")
    if not tools:
        return
    body["tools"] = [build_function_tool(tool["function"]) for tool in tools]
    if any(tool["function"].get("strict") for tool in tools):
        # One switch for all tools: the others become stricter, none laxer.
        body["strict_tools"] = True
    if mode in ("required", "function"):
        body["tool_choice"] = "REQUIRED"
    elif mode == "none":
        body["tool_choice"] = "NONE"
    if chat.get("parallel_tool_calls") is False:
        omitted.append("parallel_tool_calls")


def _format(chat: ChatRequest, body: Json, has_documents: bool) -> None:
    """Structured output. Cohere has it, but not beside tools or documents: there the answer is a
    tool's call."""
    schema = read_response_schema(chat)
    choice = body.get("tool_choice")
    if schema is None or choice == "REQUIRED":
        return
    if choice == "NONE":
        # Tools that must not be called are left out, so that the format can stand.
        for name in ("tools", "strict_tools", "tool_choice"):
            body.pop(name, None)
    if "tools" in body or "documents" in body or has_documents:
        _answer_by_tool(chat, schema, body)
        return
    body["response_format"] = (
        {"type": "json_object", "json_schema": schema} if schema else {"type": "json_object"}
    )


def _answer_by_tool(chat: ChatRequest, schema: Json, body: Json) -> None:
    tools = body.get("tools", [])
    if any(tool["function"]["name"] == ANSWER_TOOL for tool in tools):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
        )
    forced = {
        "name": ANSWER_TOOL,
        "description": "Give the answer by calling this.",
        "parameters": {"type": "object", **schema},
    }
    body["tools"] = [*tools, {"type": "function", "function": forced}]
    body["tool_choice"] = "REQUIRED"
    if ((chat.get("response_format") or {}).get("json_schema") or {}).get("strict"):
        body["strict_tools"] = True


def _think(chat: ChatRequest, model: str, body: Json, omitted: list[str]) -> None:
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    if NEVER_THINKS.search(model):
        omitted += ["reasoning_effort"] * (effort != "none")
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    else:
        body["thinking"] = {"type": "enabled"}
        if effort in BUDGETS:
            body["thinking"]["token_budget"] = BUDGETS[effort]
