"""Ollama's own chat API, `/api/chat`: https://docs.ollama.com/api/chat (read 2026-11).

It can express what Ollama's OpenAI-compatible API silently drops: the size of the context, which is
small unless it is set, how long the model stays loaded, and whether the model thinks.

Here: the body's frame. Elsewhere in the package: `messages`, `tools`, `reply`, `stream` and
`usage`. Its errors have the usual shape, `{"error": "…"}`.

What has no unified field comes through `provider_options`: `options` (`num_ctx`, `top_k`, `min_p`,
`repeat_penalty`, `mirostat`…), `keep_alive`, `think`, `truncate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from native_api.dialects.base import Dialect
from native_api.dialects.ollama.messages import MessageTranslator
from native_api.dialects.ollama.reply import build_reply
from native_api.dialects.ollama.stream import OllamaStream
from native_api.dialects.ollama.tools import add_tools
from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.errors import read_error
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.dialects.shared.tools import read_response_schema
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target
from native_api.types.chat import REASONING_EXTENSIONS, SAMPLING_EXTENSIONS

OPTION_FIELDS: Final = {
    **{
        name: name
        for name in (
            "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "top_k",
            "min_p", "typical_p", "mirostat", "mirostat_tau", "mirostat_eta", "repeat_penalty",
        )
    },
    "repetition_penalty": "repeat_penalty",
}  # fmt: skip
"""Unified field -> its name in `options`."""

THINKING_LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""Effort -> a level that every version of Ollama accepts. Models without levels think at each of
them."""


class Ollama(Dialect):
    """Ollama's own chat API."""

    name = "ollama"
    framing = "ndjson"
    owned_members = gateway_owned.OLLAMA
    renamed_fields = {"logprobs": "logprobs", "top_logprobs": "top_logprobs"}
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
            "parallel_tool_calls", "response_format", "reasoning_effort", "modalities",
            *OPTION_FIELDS, *REASONING_EXTENSIONS,
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier",
            "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation",
            "service_tier", "store", *(SAMPLING_EXTENSIONS - OPTION_FIELDS.keys()),
        }
    )  # fmt: skip
    refused_fields = frozenset({"n", "audio", "web_search_options"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        """The base URL may be the server's own, or that of one of its APIs (`/v1`, `/api`), as
        other clients take it."""
        root = target.provider.base_url.removesuffix("/v1").removesuffix("/api")
        return f"{root}/api/chat"

    def check_provider_content(self, chat: ChatRequest) -> None:
        """Ollama's messages have no blocks, so there are none that a client could write."""
        for index, message in enumerate(chat["messages"]):
            if message.get("provider_content") and message["role"] != "assistant":
                raise UnsupportedField(
                    f"messages[{index}].provider_content", "Ollama takes text and images"
                )

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        body["model"] = target.model
        body["stream"] = bool(chat.get("stream"))  # Ollama streams if this is left out.
        translator = MessageTranslator()
        translator.translate(chat["messages"])
        body["messages"] = translator.turns
        omitted += sorted(translator.omitted)
        options = _build_options(chat)
        if options:
            body["options"] = options
        add_tools(chat, body, omitted)
        schema = read_response_schema(chat)
        if schema is not None:
            body["format"] = schema or "json"
        _add_reasoning(chat, body, omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return OllamaStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _build_options(chat: ChatRequest) -> Json:
    options: Json = {
        OPTION_FIELDS[name]: value
        for name, value in chat.items()
        if name in OPTION_FIELDS and value is not None
    }
    if read_max_tokens(chat):
        options["num_predict"] = read_max_tokens(chat)
    if read_stop_sequences(chat):
        options["stop"] = read_stop_sequences(chat)
    return options


def _add_reasoning(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    body["think"] = THINKING_LEVELS[effort] if effort != "none" else False
    if effort not in ("none", body["think"]):
        omitted.append("reasoning_effort")
