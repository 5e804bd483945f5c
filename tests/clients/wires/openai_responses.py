"""OpenAI's Responses API, nothing stored, reasoning encrypted.
https://platform.openai.com/docs/api-reference/responses"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.clients.model import ANY_TOOL, Call, ModelInput, ModelOutput, Result, Turn
from tests.clients.wires.base import (
    KEY,
    RequestRefused,
    Wire,
    check_members,
    require,
    sign,
    split_text,
)
from tests.scripted_provider import Received

BODY = ("model", "input", "instructions", "stream", "store", "include", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
        "max_output_tokens", "temperature", "stream_options")  # fmt: skip
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 32,
}


class OpenAIResponsesWire(Wire):
    dialect = "openai_responses"
    models = ("gpt-5-pro",)

    def build_settings(self, url: str) -> dict[str, Any]:
        return {**super().build_settings(url), "OPTIONS": {"reasoning_summary": "auto"}}

    def can_think(self, model: str) -> bool:
        return True

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(received.headers.get("authorization") == f"Bearer {KEY}", "no key")
        require(received.path.endswith("/responses"), "no such address")
        check_members(body, *BODY, path="body")
        require(body.get("store") is False, "a gateway keeps nothing at the provider unasked")
        model_input = ModelInput(
            [], system=body.get("instructions") or "", stream=body.get("stream", False)
        )
        model_input.wants_thinking = bool(
            body.get("reasoning", {}).get("summary")
        ) and "reasoning.encrypted_content" in body.get("include", ())
        read_tools(body, model_input)
        wanted = body.get("text", {}).get("format", {"type": "text"})
        if wanted["type"] == "json_schema":
            check_members(
                wanted, "type", "name", "description", "schema", "strict", path="text.format"
            )
            strict = wanted.get("strict")
            require(
                not strict or wanted["schema"].get("additionalProperties") is False,
                "'additionalProperties' is required and to be false",
            )
            model_input.schema = wanted["schema"]
        given = body["input"]
        is_text = isinstance(given, str)
        read_items([{"role": "user", "content": given}] if is_text else given, model_input)
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        return {
            **head(),
            "status": "completed",
            "output": list(items(model_input, output)),
            "usage": USAGE,
        }

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        begun = {**head(), "status": "in_progress", "output": []}
        told: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": begun}),
            ("response.in_progress", {"response": begun}),
        ]
        for index, item in enumerate(items(model_input, output)):
            place = {"output_index": index, "item_id": item["id"]}
            told.append(
                ("response.output_item.added", {"output_index": index, "item": opened(item)})
            )
            told += [(kind, {**place, **members}) for kind, members in written(item)]
            told.append(("response.output_item.done", {"output_index": index, "item": item}))
        told.append(("response.completed", {"response": self.build_reply(model_input, output)}))
        for number, (kind, members) in enumerate(told):
            data = json.dumps(
                {"type": kind, "sequence_number": number, **members}, ensure_ascii=False
            )
            yield f"event: {kind}\ndata: {data}\n\n".encode()

    def build_error(self, problem: RequestRefused) -> Any:
        return {
            "error": {
                "message": str(problem),
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        }


def read_tools(body: dict[str, Any], model_input: ModelInput) -> None:
    for tool in body.get("tools", ()):
        check_members(tool, "type", "name", "description", "parameters", "strict", path="tools")
        require(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"]), "tools.name: does not match")
        model_input.tools[tool["name"]] = tool["parameters"]
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        check_members(choice, "type", "name", path="tool_choice")
        model_input.must_call = choice["name"]
    else:
        require(choice in ("auto", "none", "required"), "tool_choice: invalid value")
        model_input.must_call = ANY_TOOL if choice == "required" else ""


def read_items(given: list[dict[str, Any]], model_input: ModelInput) -> None:
    """A model's turn is items one after the other; every call has its output, and every output its
    call."""
    open_calls: set[str] = set()
    for position, item in enumerate(given):
        kind = item.get("type", "message")
        if kind == "message" and item["role"] in ("system", "developer"):
            model_input.system += text_of(item)
        elif kind == "message":
            require(item["role"] in ("user", "assistant"), f"input[{position}].role: invalid value")
            turn_of(
                model_input, "model" if item["role"] == "assistant" else "user"
            ).text += text_of(item)
        elif kind == "reasoning":
            check_members(
                item,
                "type",
                "id",
                "summary",
                "encrypted_content",
                "content",
                "status",
                path=f"input[{position}]",
            )
            thought = "".join(part["text"] for part in item["summary"])
            require(
                item["encrypted_content"] == sign(thought),
                "The encrypted content could not be verified",
            )
            turn_of(model_input, "model").thoughts.append(thought)
        elif kind == "function_call":
            check_members(
                item,
                "type",
                "id",
                "call_id",
                "name",
                "arguments",
                "status",
                path=f"input[{position}]",
            )
            turn_of(model_input, "model").calls.append(
                Call(item["name"], json.loads(item["arguments"]), item["call_id"])
            )
            open_calls.add(item["call_id"])
        else:
            require(kind == "function_call_output", f"input[{position}].type: invalid value {kind}")
            require(
                item["call_id"] in open_calls,
                f"No tool call found for function call output with call_id {item['call_id']}.",
            )
            open_calls.discard(item["call_id"])
            turn_of(model_input, "user").results.append(
                Result(item["call_id"], text_of({"content": item["output"]}))
            )
    require(not open_calls, f"No tool output found for function call {open_calls}.")


def turn_of(model_input: ModelInput, role: str) -> Turn:
    if not model_input.turns or model_input.turns[-1].role != role:
        model_input.turns.append(Turn(role))
    return model_input.turns[-1]


def text_of(item: dict[str, Any]) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def items(model_input: ModelInput, output: ModelOutput) -> Iterator[dict[str, Any]]:
    number = len(model_input.turns)
    if model_input.wants_thinking and output.thought:
        summary = [{"type": "summary_text", "text": output.thought}]
        yield {
            "type": "reasoning",
            "id": f"rs_{number}",
            "summary": summary,
            "encrypted_content": sign(output.thought),
        }
    if output.text:
        content = [{"type": "output_text", "text": output.text, "annotations": [], "logprobs": []}]
        yield {
            "type": "message",
            "id": f"msg_{number}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    for position, call in enumerate(output.calls):
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        known_by = {"id": f"fc_{number}_{position}", "call_id": f"call_{number}_{position}"}
        yield {
            "type": "function_call",
            **known_by,
            "name": call.name,
            "arguments": arguments,
            "status": "completed",
        }


def opened(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it begins."""
    empty: dict[str, Any] = {
        "reasoning": {"summary": [], "encrypted_content": ""},
        "message": {"content": []},
        "function_call": {"arguments": ""},
    }
    return {
        **item,
        **empty[item["type"]],
        **({"status": "in_progress"} if "status" in item else {}),
    }


def written(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events between an item's beginning and its end."""
    if item["type"] == "function_call":
        for piece in split_text(item["arguments"]):
            yield "response.function_call_arguments.delta", {"delta": piece}
        yield (
            "response.function_call_arguments.done",
            {"arguments": item["arguments"], "name": item["name"]},
        )
        return
    is_message = item["type"] == "message"
    family = "output_text" if is_message else "reasoning_summary_text"
    [part] = item["content"] if is_message else item["summary"]
    around = "content_part" if is_message else "reasoning_summary_part"
    place = {"content_index" if is_message else "summary_index": 0}
    yield f"response.{around}.added", {**place, "part": {**part, "text": ""}}
    for piece in split_text(part["text"]):
        yield f"response.{family}.delta", {**place, "delta": piece}
    yield f"response.{family}.done", {**place, "text": part["text"]}
    yield f"response.{around}.done", {**place, "part": part}


def head() -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "model": "gpt-5-pro-2025",
        "error": None,
        "incomplete_details": None,
    }
