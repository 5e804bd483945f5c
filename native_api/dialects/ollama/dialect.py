"""Ollama's own chat API, `/api/chat`: https://docs.ollama.com/api/chat (read 2026-11). The request;
see `ollama_messages` for the conversation and `ollama_reply` for what comes back.

It says what Ollama's imitation of OpenAI's API drops without a word: the size of the context, which
is small unless it is set, how long the model stays loaded, and whether a model is to think. What
has no unified field comes through `provider_options`: `options` (`num_ctx`, `top_k`, `min_p`,
`repeat_penalty`, `mirostat`…), `keep_alive`, `think`, `truncate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from native_api.dialects.base import Dialect, StreamParser
from native_api.dialects.ollama.messages import MessageTranslator
from native_api.dialects.ollama.reply import OllamaStream, build_reply, read_error
from native_api.dialects.shared.request_fields import (
    check_text_only,
    read_max_tokens,
    read_stop_sequences,
)
from native_api.dialects.shared.tools import (
    build_function_tool,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target

OPTIONS: Final = frozenset(
    {"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"}
)
"""Unified fields that are `options` of the same name."""

LEVELS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""Levels of thinking that every version takes; for models without levels each of them means to
think."""


class Ollama(Dialect):
    name = "ollama"
    framing = "ndjson"
    renamed_fields = {"logprobs": "logprobs", "top_logprobs": "top_logprobs"}
    translated_fields = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
            "response_format", "reasoning_effort", "modalities", *OPTIONS,
        }
    )  # fmt: skip
    omitted_fields = frozenset(
        {
            "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier",
            "store",
        }
    )  # fmt: skip
    refused_fields = frozenset({"n", "audio", "web_search_options"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        """The base URL may be the server's, or that of one of its APIs as other clients are given
        it."""
        root = target.provider.base_url.removesuffix("/v1").removesuffix("/api")
        return f"{root}/api/chat"

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_text_only(chat)
        body["model"] = target.model
        body["stream"] = bool(chat.get("stream"))  # left out, it means true
        conversation = MessageTranslator()
        conversation.add(chat["messages"])
        body["messages"] = conversation.turns
        omitted += sorted(conversation.omitted)
        options: Json = {
            name: value for name, value in chat.items() if name in OPTIONS and value is not None
        }
        if read_max_tokens(chat):
            options["num_predict"] = read_max_tokens(chat)
        if read_stop_sequences(chat):
            options["stop"] = read_stop_sequences(chat)
        if options:
            body["options"] = options
        _tools(chat, body, omitted)
        schema = read_response_schema(chat)
        if schema is not None:
            body["format"] = schema or "json"
        _think(chat, body, omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return OllamaStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _tools(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    """Ollama's models choose for themselves: tools can be kept from them, but they cannot be made
    to call one."""
    tools = read_functions(chat, "Ollama")
    mode, _ = read_tool_choice(chat)
    if mode in ("required", "function"):
        raise UnsupportedField(
            "tool_choice", "Ollama's models cannot be made to call a tool; use auto or none"
        )
    if not tools or mode == "none":
        return
    body["tools"] = [build_function_tool(tool["function"]) for tool in tools]
    if any(tool["function"].get("strict") for tool in tools):
        omitted.append("tools.function.strict")
    if chat.get("parallel_tool_calls") is False:
        omitted.append("parallel_tool_calls")


def _think(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    effort = chat.get("reasoning_effort")
    if effort is None:
        return
    body["think"] = LEVELS[effort] if effort != "none" else False
    if effort not in ("none", body["think"]):
        omitted.append("reasoning_effort")
