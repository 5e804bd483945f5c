"""A scripted Cohere: the Chat API, version 2, with plans and thinking.

Sources: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import ANY_TOOL, Call, ModelInput, ModelOutput, Result, Turn
from tests.clients.wires.base import KEY, RequestRefused, Wire, check_members, require, split_text
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

    def build_settings(self, url: str) -> dict[str, Any]:
        return {"PRESET": "cohere", "BASE_URL": url, "API_KEY": KEY}

    def can_think(self, model: str) -> bool:
        return model == THINKING_MODEL

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(received.headers.get("authorization") == f"Bearer {KEY}", "invalid api token")
        require(received.path.endswith("/chat"), "no such URL")
        check_members(body, *BODY_FIELDS, path="body")
        model_input = ModelInput(
            [],
            stream=body["stream"],
            wants_thinking=body["model"] == THINKING_MODEL
            and body.get("thinking") != {"type": "disabled"},
        )
        require(
            "thinking" not in body or body["model"] == THINKING_MODEL,
            "thinking is not supported by this model",
        )
        read_messages(body["messages"], model_input)
        for tool in body.get("tools", ()):
            require(tool["type"] == "function", "tools.type: only function")
            require(
                re.fullmatch(r"[a-zA-Z_]\w*", tool["function"]["name"]),
                "tools.function.name: letters, digits and underscores",
            )
            require(
                tool["function"]["parameters"]["type"] == "object",
                "tools.function.parameters must be an object",
            )
            model_input.tools[tool["function"]["name"]] = tool["function"]
        require(
            body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice: REQUIRED or NONE"
        )
        if body.get("tool_choice") == "REQUIRED":
            model_input.must_call = (
                next(iter(model_input.tools)) if len(model_input.tools) == 1 else ANY_TOOL
            )
        if "response_format" in body:
            require(
                not model_input.tools, "response_format json_object is not supported with tools"
            )
            model_input.schema = body["response_format"].get("json_schema", {})
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        message: dict[str, Any] = {"role": "assistant"}
        plan, content = build_plan_and_content(model_input, output)
        if content:
            message["content"] = content
        if plan:
            message["tool_plan"] = plan
        if output.calls:
            message["tool_calls"] = [
                build_call(model_input, index, call) for index, call in enumerate(output.calls)
            ]
        return {
            "id": "reply-1",
            "finish_reason": finish_reason(output),
            "message": message,
            "usage": USAGE,
        }

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        empty = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        yield build_event("message-start", id="reply-1", delta={"message": empty})
        plan, content = build_plan_and_content(model_input, output)
        for piece in split_text(plan):
            yield build_event("tool-plan-delta", delta={"message": {"tool_plan": piece}})
        for index, block in enumerate(content):
            kind = block["type"]
            yield build_event(
                "content-start",
                index=index,
                delta={"message": {"content": {"type": kind, kind: ""}}},
            )
            for piece in split_text(block[kind]):
                yield build_event(
                    "content-delta", index=index, delta={"message": {"content": {kind: piece}}}
                )
            yield build_event("content-end", index=index)
        for index, call in enumerate(output.calls):
            opening = build_call(model_input, index, call)
            arguments = opening["function"]["arguments"]
            opening["function"]["arguments"] = ""
            yield build_event(
                "tool-call-start", index=index, delta={"message": {"tool_calls": opening}}
            )
            for piece in split_text(arguments):
                yield build_event(
                    "tool-call-delta",
                    index=index,
                    delta={"message": {"tool_calls": {"function": {"arguments": piece}}}},
                )
            yield build_event("tool-call-end", index=index)
        yield build_event(
            "message-end", delta={"finish_reason": finish_reason(output), "usage": USAGE}
        )

    def build_error(self, problem: RequestRefused) -> Any:
        return {"id": "error-1", "message": str(problem)}


def read_messages(messages: list[dict[str, Any]], model_input: ModelInput) -> None:
    """Read the turns. Results must follow their calls directly, each once."""
    expected: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if message["role"] == "tool":
            check_members(message, "role", "tool_call_id", "content", path=path)
            require(
                message["tool_call_id"] in expected,
                f"{path}: tool call id not found in previous tool calls",
            )
            expected.discard(message["tool_call_id"])
            last = model_input.turns[-1]
            if last.role == "model":
                model_input.turns.append(last := Turn("user"))
            last.results.append(Result(message["tool_call_id"], read_text(message["content"])))
            continue
        require(not expected, f"{path}: tool calls without results")
        check_members(message, "role", "content", "tool_calls", "tool_plan", path=path)
        require(message.get("content") or message.get("tool_calls"), f"{path}: an empty message")
        if message["role"] == "system":
            model_input.system += read_text(message["content"])
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
        model_input.turns.append(turn)
    require(not expected, "tool calls without results")


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


def build_plan_and_content(
    model_input: ModelInput, output: ModelOutput
) -> tuple[str, list[dict[str, Any]]]:
    """Before calls the model plans instead of writing text or thoughts. Other answers begin with
    its thoughts."""
    if output.calls:
        return (output.thought if model_input.wants_thinking else output.text), []
    thinking = (
        [{"type": "thinking", "thinking": output.thought}]
        if model_input.wants_thinking and output.thought
        else []
    )
    return "", [*thinking, {"type": "text", "text": output.text}]


def build_call(model_input: ModelInput, index: int, call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {
        "id": f"{call.name}_{len(model_input.turns)}_{index}",
        "type": "function",
        "function": function,
    }


def finish_reason(output: ModelOutput) -> str:
    return "TOOL_CALL" if output.calls else "COMPLETE"


def build_event(kind: str, **members: Any) -> bytes:
    data = json.dumps({"type": kind, **members}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
