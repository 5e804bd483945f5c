"""OpenAI Chat Completions, with the reasoning text of its compatible relatives.
https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.clients.model import ANY_TOOL, Call, ModelInput, ModelOutput, Result, Turn
from tests.clients.wires.base import KEY, RequestRefused, Wire, check_members, require, split_text
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

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(received.headers.get("authorization") == f"Bearer {KEY}", "no key")
        require(received.path.endswith("/chat/completions"), "no such address")
        check_members(body, *BODY, path="body")
        model_input = ModelInput(list(turns(body["messages"])), stream=body.get("stream", False))
        require(
            not model_input.stream or body.get("stream_options") == {"include_usage": True},
            "a gateway asks for usage",
        )
        model_input.system = "\n".join(
            text_of(message)
            for message in body["messages"]
            if message["role"] in ("system", "developer")
        )
        model_input.tools = {
            tool["function"]["name"]: tool["function"].get("parameters")
            for tool in body.get("tools", ())
        }
        require(
            all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in model_input.tools),
            "tools: a name does not match",
        )
        model_input.must_call = must_call(body.get("tool_choice", "auto"))
        require(
            not model_input.must_call or model_input.tools,
            "tool_choice is only allowed when tools are specified",
        )
        model_input.schema = schema_of(body.get("response_format", {"type": "text"}))
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": output.text or None,
            "refusal": None,
        }
        if output.thought:
            message["reasoning_content"] = output.thought
        if output.calls:
            message["tool_calls"] = [
                tool_call(model_input, number, call) for number, call in enumerate(output.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": reason(output), "logprobs": None}
        return {**head("chat.completion"), "choices": [choice], "usage": USAGE}

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        yield chunk({"role": "assistant", "content": ""})
        for piece in split_text(output.thought):
            yield chunk({"reasoning_content": piece})
        for piece in split_text(output.text):
            yield chunk({"content": piece})
        for number, call in enumerate(output.calls):
            whole = tool_call(model_input, number, call)
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
            for piece in split_text(arguments):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        yield chunk({}, reason(output))
        yield data({**head("chat.completion.chunk"), "choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"

    def build_error(self, problem: RequestRefused) -> Any:
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
        check_members(message, "role", *MESSAGES[message["role"]], path=place)
        if message["role"] == "tool":
            require(
                message["tool_call_id"] in open_calls,
                f"{place}: no preceding message has this tool_call_id",
            )
            open_calls.remove(message["tool_call_id"])
            results.append(Result(message["tool_call_id"], text_of(message)))
            continue
        require(
            not open_calls, f"{place}: the tool_call_ids {open_calls} have no response messages"
        )
        if results:
            yield Turn("user", results=results)
            results = []
        if message["role"] == "assistant":
            calls = [read_call(call) for call in message.get("tool_calls") or ()]
            require(message.get("content") or calls, f"{place}: content is required")
            open_calls = [call.id for call in calls]
            yield Turn("model", text_of(message), calls)
        elif message["role"] == "user":
            yield Turn("user", text_of(message))
    require(not open_calls, f"the tool_call_ids {open_calls} have no response messages")
    if results:
        yield Turn("user", results=results)


def read_call(call: dict[str, Any]) -> Call:
    check_members(call, "id", "type", "function", path="tool_calls")
    return Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def must_call(choice: Any) -> str:
    if isinstance(choice, dict):
        return str(choice["function"]["name"])
    require(choice in ("auto", "none", "required"), f"tool_choice: invalid value {choice!r}")
    return ANY_TOOL if choice == "required" else ""


def schema_of(response_format: dict[str, Any]) -> dict[str, Any] | None:
    if response_format["type"] != "json_schema":
        return {} if response_format["type"] == "json_object" else None
    told = response_format["json_schema"]
    check_members(
        told, "name", "description", "schema", "strict", path="response_format.json_schema"
    )
    schema: dict[str, Any] = told["schema"]
    if told.get("strict"):
        require(
            schema.get("additionalProperties") is False,
            "'additionalProperties' is required to be supplied and to be false",
        )
        require(
            set(schema["required"]) == set(schema["properties"]),
            "'required' must include every key in properties",
        )
    return schema


def tool_call(model_input: ModelInput, number: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {
        "id": f"call_{len(model_input.turns)}_{number}",
        "type": "function",
        "function": function,
    }


def reason(output: ModelOutput) -> str:
    return "tool_calls" if output.calls else "stop"


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
