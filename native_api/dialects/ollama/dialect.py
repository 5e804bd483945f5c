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
from native_api.dialects.ollama.messages import Conversation
from native_api.dialects.ollama.reply import OllamaStream, error_of, reply
from native_api.dialects.shared.content import (
    check_modalities,
    choice_of,
    declared,
    functions_of,
    limit_of,
    stops_of,
    wanted_schema,
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
    renamed = {"logprobs": "logprobs", "top_logprobs": "top_logprobs"}
    built = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
            "response_format", "reasoning_effort", "modalities", *OPTIONS,
        }
    )  # fmt: skip
    hints = frozenset(
        {
            "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier",
            "store",
        }
    )  # fmt: skip
    refused = frozenset({"n", "audio", "web_search_options"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        """The base URL may be the server's, or that of one of its APIs as other clients are given
        it."""
        root = target.provider.base_url.removesuffix("/v1").removesuffix("/api")
        return f"{root}/api/chat"

    def build(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_modalities(chat)
        body["model"] = target.model
        body["stream"] = bool(chat.get("stream"))  # left out, it means true
        conversation = Conversation()
        conversation.add(chat["messages"])
        body["messages"] = conversation.turns
        omitted += sorted(conversation.hints)
        options: Json = {
            name: value for name, value in chat.items() if name in OPTIONS and value is not None
        }
        if limit_of(chat):
            options["num_predict"] = limit_of(chat)
        if stops_of(chat):
            options["stop"] = stops_of(chat)
        if options:
            body["options"] = options
        _tools(chat, body, omitted)
        schema = wanted_schema(chat)
        if schema is not None:
            body["format"] = schema or "json"
        _think(chat, body, omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return reply(body)

    def stream(self, target: Target) -> StreamParser:
        return OllamaStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return error_of(status, headers, body)


def _tools(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    """Ollama's models choose for themselves: tools can be kept from them, but they cannot be made
    to call one."""
    tools = functions_of(chat, "Ollama")
    mode, _ = choice_of(chat)
    if mode in ("required", "function"):
        raise UnsupportedField(
            "tool_choice", "Ollama's models cannot be made to call a tool; use auto or none"
        )
    if not tools or mode == "none":
        return
    body["tools"] = [declared(tool["function"]) for tool in tools]
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
