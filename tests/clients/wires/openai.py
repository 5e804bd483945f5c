"""OpenAI Chat Completions, with the reasoning text of its compatible relatives.
https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces
from tests.scripted_provider import Received

BODY = ("model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format", "temperature",
        "max_completion_tokens", "max_tokens", "reasoning_effort", "n", "stop", "user", "metadata")  # fmt: skip
MESSAGES = {
    "system": ("content", "name"),
    "developer": ("content", "name"),
    "user": ("content", "name"),
    "assistant": ("content", "name", "refusal", "tool_calls", "audio", "function_call"),
    "tool": ("content", "tool_call_id"),
}
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 12,
    "total_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 4},
}


class OpenAIWire(Wire):
    dialect = "openai"
    models = ("gpt-5",)

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.headers.get("authorization") == f"Bearer {KEY}", "no key")
        demand(received.path.endswith("/chat/completions"), "no such address")
        known(body, *BODY, place="body")
        asked = Asked(list(turns(body["messages"])), stream=body.get("stream", False))
        demand(
            not asked.stream or body.get("stream_options") == {"include_usage": True},
            "a gateway asks for usage",
        )
        asked.system = "\n".join(
            text_of(message)
            for message in body["messages"]
            if message["role"] in ("system", "developer")
        )
        asked.tools = {
            tool["function"]["name"]: tool["function"].get("parameters")
            for tool in body.get("tools", ())
        }
        demand(
            all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in asked.tools),
            "tools: a name does not match",
        )
        asked.must_call = must_call(body.get("tool_choice", "auto"))
        demand(
            not asked.must_call or asked.tools,
            "tool_choice is only allowed when tools are specified",
        )
        asked.schema = schema_of(body.get("response_format", {"type": "text"}))
        return asked

    def reply(self, asked: Asked, said: Answer) -> Any:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": said.text or None,
            "refusal": None,
        }
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = [
                tool_call(asked, number, call) for number, call in enumerate(said.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": reason(said), "logprobs": None}
        return {**head("chat.completion"), "choices": [choice], "usage": USAGE}

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces(said.thought):
            yield chunk({"reasoning_content": piece})
        for piece in pieces(said.text):
            yield chunk({"content": piece})
        for number, call in enumerate(said.calls):
            whole = tool_call(asked, number, call)
            arguments = whole["function"].pop("arguments")
            yield chunk(
                {
                    "tool_calls": [
                        {
                            "index": number,
                            **whole,
                            "function": {**whole["function"], "arguments": ""},
                        }
                    ]
                }
            )
            for piece in pieces(arguments):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        yield chunk({}, reason(said))
        yield data({**head("chat.completion.chunk"), "choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"

    def error(self, problem: Refused) -> Any:
        return {
            "error": {
                "message": str(problem),
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        }


def turns(messages: list[dict[str, Any]]) -> Iterator[Turn]:
    """Every call is answered right behind it, and nothing else is."""
    open_calls: list[str] = []
    results: list[Result] = []
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        known(message, "role", *MESSAGES[message["role"]], place=place)
        if message["role"] == "tool":
            demand(
                message["tool_call_id"] in open_calls,
                f"{place}: no preceding message has this tool_call_id",
            )
            open_calls.remove(message["tool_call_id"])
            results.append(Result(message["tool_call_id"], text_of(message)))
            continue
        demand(not open_calls, f"{place}: the tool_call_ids {open_calls} have no response messages")
        if results:
            yield Turn("user", results=results)
            results = []
        if message["role"] == "assistant":
            calls = [read_call(call) for call in message.get("tool_calls") or ()]
            demand(message.get("content") or calls, f"{place}: content is required")
            open_calls = [call.id for call in calls]
            yield Turn("model", text_of(message), calls)
        elif message["role"] == "user":
            yield Turn("user", text_of(message))
    demand(not open_calls, f"the tool_call_ids {open_calls} have no response messages")
    if results:
        yield Turn("user", results=results)


def read_call(call: dict[str, Any]) -> Call:
    known(call, "id", "type", "function", place="tool_calls")
    return Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def must_call(choice: Any) -> str:
    if isinstance(choice, dict):
        return str(choice["function"]["name"])
    demand(choice in ("auto", "none", "required"), f"tool_choice: invalid value {choice!r}")
    return FORCED if choice == "required" else ""


def schema_of(response_format: dict[str, Any]) -> dict[str, Any] | None:
    if response_format["type"] != "json_schema":
        return {} if response_format["type"] == "json_object" else None
    told = response_format["json_schema"]
    known(told, "name", "description", "schema", "strict", place="response_format.json_schema")
    schema: dict[str, Any] = told["schema"]
    if told.get("strict"):
        demand(
            schema.get("additionalProperties") is False,
            "'additionalProperties' is required to be supplied and to be false",
        )
        demand(
            set(schema["required"]) == set(schema["properties"]),
            "'required' must include every key in properties",
        )
    return schema


def tool_call(asked: Asked, number: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {"id": f"call_{len(asked.turns)}_{number}", "type": "function", "function": function}


def reason(said: Answer) -> str:
    return "tool_calls" if said.calls else "stop"


def head(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1700000000,
        "model": "gpt-5-2025",
        "system_fingerprint": "fp",
    }


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    return data(
        {
            **head("chat.completion.chunk"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
            "usage": None,
        }
    )


def data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
