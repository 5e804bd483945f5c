"""Reads replies and streams that a test writes down, as strict clients do."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from native_api.dialects import DIALECTS
from native_api.types import Event, Provider, Target
from tests.dialects.stream_folding import fold


def make_target(wire: str, model: str = "m") -> Target:
    return Target(Provider("p", wire, "https://api.example/v1"), model)


def read_reply(wire: str, body: Any) -> Any:
    """The unified reply, which OpenAI's models accept."""
    reply: Any = DIALECTS[wire].response(deepcopy(body), make_target(wire))
    ChatCompletion.model_validate({**reply, "id": reply["id"] or "x"})
    return reply


def read_chunks(wire: str, events: list[Any]) -> list[Any]:
    """The chunks of a stream, which OpenAI's models accept.

    An event is its data, or a pair of its type and its data.
    """
    parser = DIALECTS[wire].stream(make_target(wire))
    chunks: list[Any] = []
    for event in events:
        kind, data = event if isinstance(event, tuple) else ("", event)
        text = data if isinstance(data, str) else json.dumps(data)
        chunks += parser.feed(Event(kind, text))
    chunks += parser.close()
    for chunk in chunks:
        ChatCompletionChunk.model_validate(_as_functions(chunk))
    return chunks


def read_stream(wire: str, events: list[Any]) -> Any:
    """The choices of the folded stream, which OpenAI's SDK folds into the same messages."""
    chunks = read_chunks(wire, events)
    choices = fold(chunks)
    messages: dict[int, Any] = {}
    for choice in [choice for chunk in deepcopy(chunks) for choice in chunk["choices"]]:
        messages[choice["index"]] = accumulate_delta(
            messages.get(choice["index"], {}), choice["delta"]
        )
    for choice in choices:
        message = messages[choice["index"]]
        for call in message.get("tool_calls") or ():
            call.pop("index")
        assert {**message, "content": message.get("content") or None} == choice["message"]
    return choices


def _as_functions(chunk: Any) -> Any:
    """The chunk with custom calls as functions, since the SDK's chunks know no others."""
    adapted = deepcopy(chunk)
    for choice in adapted["choices"]:
        for call in choice["delta"].get("tool_calls") or ():
            if "custom" in call:
                call["type"] = "function"
    return adapted


def replay(wire: str, message: Any) -> Any:
    """The body of a request that sends this message of the model back."""
    question = {"role": "user", "content": "?"}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        for call in message.get("tool_calls") or ()
    ]
    tools = [
        {"type": "function", "function": {"name": call["function"]["name"], "parameters": {}}}
        for call in message.get("tool_calls") or ()
        if "function" in call
    ]
    chat: Any = {"model": "m", "messages": [question, message, *results, question]}
    if tools:
        chat["tools"] = tools
    return DIALECTS[wire].request(chat, make_target(wire)).body
