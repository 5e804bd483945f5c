"""Cohere's Chat API, version 2, with its plan and its thinking.
https://docs.cohere.com/reference/chat and …/reference/chat-stream"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces
from tests.scripted_provider import Received

BODY = ("model", "messages", "stream", "tools", "tool_choice", "strict_tools", "response_format", "thinking", "max_tokens", "temperature",
        "stop_sequences", "seed")  # fmt: skip
THINKER = "command-a-reasoning-08-2025"
TOKENS = {"input_tokens": 20, "output_tokens": 12}
USAGE = {"billed_units": TOKENS, "tokens": TOKENS, "cached_tokens": 5}


class CohereWire(Wire):
    dialect = "cohere"
    models = (THINKER, "command-r-plus-08-2024")

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "cohere", "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        return model == THINKER

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.headers.get("authorization") == f"Bearer {KEY}", "invalid api token")
        demand(received.path.endswith("/chat"), "no such address")
        known(body, *BODY, place="body")
        asked = Asked(
            [],
            stream=body["stream"],
            thinks=body["model"] == THINKER and body.get("thinking") != {"type": "disabled"},
        )
        demand(
            "thinking" not in body or body["model"] == THINKER,
            "thinking is not supported by this model",
        )
        read_messages(body["messages"], asked)
        for tool in body.get("tools", ()):
            demand(tool["type"] == "function", "tools.type")
            demand(
                re.fullmatch(r"[a-zA-Z_]\w*", tool["function"]["name"]),
                "tools.function.name: letters, digits and underscores",
            )
            demand(
                tool["function"]["parameters"]["type"] == "object",
                "tools.function.parameters: an object",
            )
            asked.tools[tool["function"]["name"]] = tool["function"]
        demand(
            body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice: REQUIRED or NONE"
        )
        if body.get("tool_choice") == "REQUIRED":
            asked.must_call = next(iter(asked.tools)) if len(asked.tools) == 1 else FORCED
        if "response_format" in body:
            demand(not asked.tools, "response_format json_object is not supported with tools")
            asked.schema = body["response_format"].get("json_schema", {})
        return asked

    def reply(self, asked: Asked, said: Answer) -> Any:
        message: dict[str, Any] = {"role": "assistant"}
        plan, content = spoken(asked, said)
        if content:
            message["content"] = content
        if plan:
            message["tool_plan"] = plan
        if said.calls:
            message["tool_calls"] = [
                tool_call(asked, number, call) for number, call in enumerate(said.calls)
            ]
        return {"id": "reply-1", "finish_reason": reason(said), "message": message, "usage": USAGE}

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        empty = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        yield event("message-start", id="reply-1", delta={"message": empty})
        plan, content = spoken(asked, said)
        for piece in pieces(plan):
            yield event("tool-plan-delta", delta={"message": {"tool_plan": piece}})
        for index, block in enumerate(content):
            kind = block["type"]
            yield event(
                "content-start",
                index=index,
                delta={"message": {"content": {"type": kind, kind: ""}}},
            )
            for piece in pieces(block[kind]):
                yield event(
                    "content-delta", index=index, delta={"message": {"content": {kind: piece}}}
                )
            yield event("content-end", index=index)
        for number, call in enumerate(said.calls):
            whole = tool_call(asked, number, call)
            arguments = whole["function"].pop("arguments")
            opening = {**whole, "function": {**whole["function"], "arguments": ""}}
            yield event("tool-call-start", index=number, delta={"message": {"tool_calls": opening}})
            for piece in pieces(arguments):
                yield event(
                    "tool-call-delta",
                    index=number,
                    delta={"message": {"tool_calls": {"function": {"arguments": piece}}}},
                )
            yield event("tool-call-end", index=number)
        yield event("message-end", delta={"finish_reason": reason(said), "usage": USAGE})

    def error(self, problem: Refused) -> Any:
        return {"id": "error-1", "message": str(problem)}


def read_messages(messages: list[dict[str, Any]], asked: Asked) -> None:
    """Results stand right behind their calls, each once."""
    expected: set[str] = set()
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        if message["role"] == "tool":
            known(message, "role", "tool_call_id", "content", place=place)
            demand(
                message["tool_call_id"] in expected,
                f"{place}: tool call id not found in previous tool calls",
            )
            expected.discard(message["tool_call_id"])
            last = asked.turns[-1]
            if last.role == "model":
                asked.turns.append(last := Turn("user"))
            last.results.append(Result(message["tool_call_id"], text_of(message["content"])))
            continue
        demand(not expected, f"{place}: tool calls without results")
        known(message, "role", "content", "tool_calls", "tool_plan", place=place)
        demand(message.get("content") or message.get("tool_calls"), f"{place}: an empty message")
        if message["role"] == "system":
            asked.system += text_of(message["content"])
            continue
        turn = Turn(
            "model" if message["role"] == "assistant" else "user",
            text_of(message.get("content", "")),
        )
        turn.thoughts = (
            [message["tool_plan"]]
            if message.get("tool_plan")
            else thoughts_of(message.get("content", ""))
        )
        for call in message.get("tool_calls", ()):
            turn.calls.append(
                Call(
                    call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"]
                )
            )
        expected = {call.id for call in turn.calls}
        asked.turns.append(turn)
    demand(not expected, "tool calls without results")


def text_of(content: Any) -> str:
    return (
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    )


def thoughts_of(content: Any) -> list[str]:
    return (
        []
        if isinstance(content, str)
        else [part["thinking"] for part in content if part["type"] == "thinking"]
    )


def spoken(asked: Asked, said: Answer) -> tuple[str, list[dict[str, Any]]]:
    """Before calls the model plans, in place of speaking and of thinking aloud; other answers begin
    with its thinking."""
    if said.calls:
        return (said.thought if asked.thinks else said.text), []
    thinking = (
        [{"type": "thinking", "thinking": said.thought}] if asked.thinks and said.thought else []
    )
    return "", [*thinking, {"type": "text", "text": said.text}]


def tool_call(asked: Asked, number: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {
        "id": f"{call.name}_{len(asked.turns)}_{number}",
        "type": "function",
        "function": function,
    }


def reason(said: Answer) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members}, ensure_ascii=False)}\n\n".encode()
