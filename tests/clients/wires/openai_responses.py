"""OpenAI's Responses API, nothing stored, reasoning encrypted.
https://platform.openai.com/docs/api-reference/responses"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces, signed
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

    def thinks(self, model: str) -> bool:
        return True

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.headers.get("authorization") == f"Bearer {KEY}", "no key")
        demand(received.path.endswith("/responses"), "no such address")
        known(body, *BODY, place="body")
        demand(body.get("store") is False, "a gateway keeps nothing at the provider unasked")
        asked = Asked([], system=body.get("instructions") or "", stream=body.get("stream", False))
        asked.thinks = bool(
            body.get("reasoning", {}).get("summary")
        ) and "reasoning.encrypted_content" in body.get("include", ())
        read_tools(body, asked)
        wanted = body.get("text", {}).get("format", {"type": "text"})
        if wanted["type"] == "json_schema":
            known(wanted, "type", "name", "description", "schema", "strict", place="text.format")
            strict = wanted.get("strict")
            demand(
                not strict or wanted["schema"].get("additionalProperties") is False,
                "'additionalProperties' is required and to be false",
            )
            asked.schema = wanted["schema"]
        read_items(body["input"], asked)
        return asked

    def reply(self, asked: Asked, said: Answer) -> Any:
        return {**head(), "status": "completed", "output": list(items(asked, said)), "usage": USAGE}

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        begun = {**head(), "status": "in_progress", "output": []}
        told: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": begun}),
            ("response.in_progress", {"response": begun}),
        ]
        for index, item in enumerate(items(asked, said)):
            place = {"output_index": index, "item_id": item["id"]}
            told.append(
                ("response.output_item.added", {"output_index": index, "item": opened(item)})
            )
            told += [(kind, {**place, **members}) for kind, members in written(item)]
            told.append(("response.output_item.done", {"output_index": index, "item": item}))
        told.append(("response.completed", {"response": self.reply(asked, said)}))
        for number, (kind, members) in enumerate(told):
            data = json.dumps(
                {"type": kind, "sequence_number": number, **members}, ensure_ascii=False
            )
            yield f"event: {kind}\ndata: {data}\n\n".encode()

    def error(self, problem: Refused) -> Any:
        return {
            "error": {
                "message": str(problem),
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        }


def read_tools(body: dict[str, Any], asked: Asked) -> None:
    for tool in body.get("tools", ()):
        known(tool, "type", "name", "description", "parameters", "strict", place="tools")
        demand(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"]), "tools.name: does not match")
        asked.tools[tool["name"]] = tool["parameters"]
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        known(choice, "type", "name", place="tool_choice")
        asked.must_call = choice["name"]
    else:
        demand(choice in ("auto", "none", "required"), "tool_choice: invalid value")
        asked.must_call = FORCED if choice == "required" else ""


def read_items(given: list[dict[str, Any]], asked: Asked) -> None:
    """A model's turn is items one after the other; every call has its output, and every output its
    call."""
    open_calls: set[str] = set()
    for position, item in enumerate(given):
        kind = item.get("type", "message")
        if kind == "message" and item["role"] in ("system", "developer"):
            asked.system += text_of(item)
        elif kind == "message":
            demand(item["role"] in ("user", "assistant"), f"input[{position}].role: invalid value")
            turn_of(asked, "model" if item["role"] == "assistant" else "user").text += text_of(item)
        elif kind == "reasoning":
            known(
                item,
                "type",
                "id",
                "summary",
                "encrypted_content",
                "content",
                "status",
                place=f"input[{position}]",
            )
            thought = "".join(part["text"] for part in item["summary"])
            demand(
                item["encrypted_content"] == signed(thought),
                "The encrypted content could not be verified",
            )
            turn_of(asked, "model").thoughts.append(thought)
        elif kind == "function_call":
            known(
                item,
                "type",
                "id",
                "call_id",
                "name",
                "arguments",
                "status",
                place=f"input[{position}]",
            )
            turn_of(asked, "model").calls.append(
                Call(item["name"], json.loads(item["arguments"]), item["call_id"])
            )
            open_calls.add(item["call_id"])
        else:
            demand(kind == "function_call_output", f"input[{position}].type: invalid value {kind}")
            demand(
                item["call_id"] in open_calls,
                f"No tool call found for function call output with call_id {item['call_id']}.",
            )
            open_calls.discard(item["call_id"])
            turn_of(asked, "user").results.append(
                Result(item["call_id"], text_of({"content": item["output"]}))
            )
    demand(not open_calls, f"No tool output found for function call {open_calls}.")


def turn_of(asked: Asked, role: str) -> Turn:
    if not asked.turns or asked.turns[-1].role != role:
        asked.turns.append(Turn(role))
    return asked.turns[-1]


def text_of(item: dict[str, Any]) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def items(asked: Asked, said: Answer) -> Iterator[dict[str, Any]]:
    number = len(asked.turns)
    if asked.thinks and said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        yield {
            "type": "reasoning",
            "id": f"rs_{number}",
            "summary": summary,
            "encrypted_content": signed(said.thought),
        }
    if said.text:
        content = [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}]
        yield {
            "type": "message",
            "id": f"msg_{number}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    for position, call in enumerate(said.calls):
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
        for piece in pieces(item["arguments"]):
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
    for piece in pieces(part["text"]):
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
