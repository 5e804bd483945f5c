"""A scripted Cohere: the Chat API, version 2, with plans and thinking.

Sources: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces
from tests.scripted_provider import Received

BODY_FIELDS = (
    "model", "messages", "stream", "tools", "tool_choice", "strict_tools", "response_format",
    "thinking", "max_tokens", "temperature", "stop_sequences", "seed",
)  # fmt: skip
THINKING_MODEL = "command-a-reasoning-08-2025"
TOKENS = {"input_tokens": 20, "output_tokens": 12}
USAGE = {"billed_units": TOKENS, "tokens": TOKENS, "cached_tokens": 5}


class CohereWire(Wire):
    dialect = "cohere"
    models = (THINKING_MODEL, "command-r-plus-08-2024")

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "cohere", "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        return model == THINKING_MODEL

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.headers.get("authorization") == f"Bearer {KEY}", "invalid api token")
        demand(received.path.endswith("/chat"), "no such URL")
        known(body, *BODY_FIELDS, place="body")
        asked = Asked(
            [],
            stream=body["stream"],
            thinks=body["model"] == THINKING_MODEL and body.get("thinking") != {"type": "disabled"},
        )
        demand(
            "thinking" not in body or body["model"] == THINKING_MODEL,
            "thinking is not supported by this model",
        )
        read_messages(body["messages"], asked)
        for tool in body.get("tools", ()):
            demand(tool["type"] == "function", "tools.type: only function")
            demand(
                re.fullmatch(r"[a-zA-Z_]\w*", tool["function"]["name"]),
                "tools.function.name: letters, digits and underscores",
            )
            demand(
                tool["function"]["parameters"]["type"] == "object",
                "tools.function.parameters must be an object",
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
        plan, content = build_plan_and_content(asked, said)
        if content:
            message["content"] = content
        if plan:
            message["tool_plan"] = plan
        if said.calls:
            message["tool_calls"] = [
                build_call(asked, index, call) for index, call in enumerate(said.calls)
            ]
        return {
            "id": "reply-1",
            "finish_reason": finish_reason(said),
            "message": message,
            "usage": USAGE,
        }

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        empty = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        yield build_event("message-start", id="reply-1", delta={"message": empty})
        plan, content = build_plan_and_content(asked, said)
        for piece in pieces(plan):
            yield build_event("tool-plan-delta", delta={"message": {"tool_plan": piece}})
        for index, block in enumerate(content):
            kind = block["type"]
            yield build_event(
                "content-start",
                index=index,
                delta={"message": {"content": {"type": kind, kind: ""}}},
            )
            for piece in pieces(block[kind]):
                yield build_event(
                    "content-delta", index=index, delta={"message": {"content": {kind: piece}}}
                )
            yield build_event("content-end", index=index)
        for index, call in enumerate(said.calls):
            opening = build_call(asked, index, call)
            arguments = opening["function"]["arguments"]
            opening["function"]["arguments"] = ""
            yield build_event(
                "tool-call-start", index=index, delta={"message": {"tool_calls": opening}}
            )
            for piece in pieces(arguments):
                yield build_event(
                    "tool-call-delta",
                    index=index,
                    delta={"message": {"tool_calls": {"function": {"arguments": piece}}}},
                )
            yield build_event("tool-call-end", index=index)
        yield build_event(
            "message-end", delta={"finish_reason": finish_reason(said), "usage": USAGE}
        )

    def error(self, problem: Refused) -> Any:
        return {"id": "error-1", "message": str(problem)}


def read_messages(messages: list[dict[str, Any]], asked: Asked) -> None:
    """Read the turns. Results must follow their calls directly, each once."""
    expected: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if message["role"] == "tool":
            known(message, "role", "tool_call_id", "content", place=path)
            demand(
                message["tool_call_id"] in expected,
                f"{path}: tool call id not found in previous tool calls",
            )
            expected.discard(message["tool_call_id"])
            last = asked.turns[-1]
            if last.role == "model":
                asked.turns.append(last := Turn("user"))
            last.results.append(Result(message["tool_call_id"], read_text(message["content"])))
            continue
        demand(not expected, f"{path}: tool calls without results")
        known(message, "role", "content", "tool_calls", "tool_plan", place=path)
        demand(message.get("content") or message.get("tool_calls"), f"{path}: an empty message")
        if message["role"] == "system":
            asked.system += read_text(message["content"])
            continue
        turn = Turn(
            "model" if message["role"] == "assistant" else "user",
            read_text(message.get("content", "")),
        )
        turn.thoughts = (
            [message["tool_plan"]]
            if message.get("tool_plan")
            else read_thoughts(message.get("content", ""))
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


def read_text(content: Any) -> str:
    return (
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    )


def read_thoughts(content: Any) -> list[str]:
    return (
        []
        if isinstance(content, str)
        else [part["thinking"] for part in content if part["type"] == "thinking"]
    )


def build_plan_and_content(asked: Asked, said: Answer) -> tuple[str, list[dict[str, Any]]]:
    """Before calls the model plans instead of writing text or thoughts. Other answers begin with
    its thoughts."""
    if said.calls:
        return (said.thought if asked.thinks else said.text), []
    thinking = (
        [{"type": "thinking", "thinking": said.thought}] if asked.thinks and said.thought else []
    )
    return "", [*thinking, {"type": "text", "text": said.text}]


def build_call(asked: Asked, index: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {
        "id": f"{call.name}_{len(asked.turns)}_{index}",
        "type": "function",
        "function": function,
    }


def finish_reason(said: Answer) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def build_event(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
