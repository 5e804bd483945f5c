"""Cohere's Chat API, version 2: https://docs.cohere.com/reference/chat (read 2026-11).

Here: the body's frame. Elsewhere in the package: `messages`, `tools` (with the response format),
`models` (which of them think), `reply` and `stream` (with `annotations`, `logprobs` and `usage`)
and `errors`.

What has no unified field comes through `provider_options`: `documents` (added to those made of text
files), `citation_options`, `safety_mode`, `k`, `thinking.token_budget`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.base import Dialect
from native_api.dialects.cohere.errors import read_error
from native_api.dialects.cohere.messages import MessageTranslator
from native_api.dialects.cohere.models import add_reasoning
from native_api.dialects.cohere.reply import build_reply
from native_api.dialects.cohere.stream import CohereStream
from native_api.dialects.cohere.tools import add_response_format, add_tools
from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target
from native_api.types.chat import REASONING_EXTENSIONS, SAMPLING_EXTENSIONS

VERSION: Final = re.compile(r"/v\d\w*$")


class Cohere(Dialect):
    """Cohere's Chat API, version 2."""

    name = "cohere"
    owned_members = gateway_owned.COHERE
    renamed_fields = {
        "temperature": "temperature",
        "top_p": "p",
        "top_k": "k",
        "seed": "seed",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "logprobs": "logprobs",
    }
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
            "parallel_tool_calls", "response_format", "reasoning_effort", "modalities",
            *REASONING_EXTENSIONS,
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier",
            "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation",
            "service_tier", "store", *(SAMPLING_EXTENSIONS - {"top_k"}),
        }
    )  # fmt: skip
    reasoning_members = frozenset({"max_tokens"})
    refused_fields = frozenset({"n", "top_logprobs", "audio", "web_search_options"})
    remote_files = frozenset({"image_url"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        base_url = target.provider.base_url
        return f"{base_url}/chat" if VERSION.search(base_url) else f"{base_url}/v2/chat"

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        documents = body.get("documents", [])
        super().add_options(body, options, chat, target)
        if isinstance(options.get("documents"), list):
            body["documents"] = [*documents, *options["documents"]]

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        body["model"] = target.model
        body["stream"] = bool(chat.get("stream"))
        translator = MessageTranslator()
        translator.translate(chat["messages"])
        body["messages"] = translator.turns
        if translator.documents:
            body["documents"] = translator.documents
        omitted += sorted(translator.omitted)
        if read_max_tokens(chat):
            body["max_tokens"] = read_max_tokens(chat)
        if read_stop_sequences(chat):
            body["stop_sequences"] = read_stop_sequences(chat)
        add_tools(chat, body, omitted)
        add_response_format(chat, body, bool(self.read_options(chat, target).get("documents")))
        add_reasoning(chat, body)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return CohereStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)
