"""Anthropic Messages, with thinking. https://docs.anthropic.com/en/api/messages and
…/docs/build-with-claude/extended-thinking"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces, signed
from tests.clients.wires.turns import check_thinking, read_turns
from tests.scripted_provider import Received

BODY_MEMBERS = (
    "model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking",
    "output_config", "temperature", "top_p", "stop_sequences", "metadata", "service_tier",
)  # fmt: skip
THINKING_TYPES = {"claude-sonnet-4-5": "enabled", "claude-opus-4-7": "adaptive"}
"""Model that thinks -> the type of thinking that it accepts."""
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 5,
    "output_tokens": 12,
}
REPLY_HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}


class AnthropicWire(Wire):
    dialect = "anthropic"
    models = ("claude-sonnet-4-5", "claude-opus-4-7", "claude-3-5-haiku-latest")

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "anthropic", "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        return model in THINKING_TYPES

    def read_body(self, received: Received) -> dict[str, Any]:
        demand(received.headers.get("x-api-key") == KEY, "invalid x-api-key")
        demand(
            received.headers.get("anthropic-version") == "2023-06-01",
            "anthropic-version: header is required",
        )
        demand(received.path.endswith("/messages"), "no such path")
        return dict(received.body)

    def read(self, received: Received) -> Asked:
        body = self.read_body(received)
        known(body, *BODY_MEMBERS, place="body")
        demand(
            isinstance(body["max_tokens"], int) and body["max_tokens"] > 0,
            "max_tokens: Field required",
        )
        asked = Asked(stream=body.get("stream", False), turns=[])
        asked.system = "\n".join(block["text"] for block in body.get("system", ()))
        read_thinking(body, asked)
        read_tools(body, asked)
        asked.turns = read_turns(body["messages"], read_block)
        if body.get("thinking", {}).get("type") == "enabled":
            check_thinking(asked.turns)
        return asked

    def reply(self, asked: Asked, answer: Answer) -> Any:
        return {
            **REPLY_HEAD,
            "content": build_blocks(asked, answer),
            "stop_reason": stop_reason(answer),
            "stop_sequence": None,
            "usage": USAGE,
        }

    def stream(self, asked: Asked, answer: Answer) -> Iterable[bytes]:
        start = {
            **REPLY_HEAD,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**USAGE, "output_tokens": 1},
        }
        yield event("message_start", message=start)
        yield event("ping")
        for index, block in enumerate(build_blocks(asked, answer)):
            opening, deltas = split_block(block)
            yield event("content_block_start", index=index, content_block=opening)
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event(
            "message_delta",
            delta={"stop_reason": stop_reason(answer), "stop_sequence": None},
            usage={"output_tokens": 12},
        )
        yield event("message_stop")

    def error(self, problem: Refused) -> Any:
        return {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": str(problem)},
            "request_id": "req_1",
        }


class AnthropicVertexWire(AnthropicWire):
    """Claude on Vertex AI.
    https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"""

    dialect = "anthropic_vertex"
    models = ("claude-sonnet-4-5@20250929",)

    def provider(self, url: str) -> dict[str, Any]:
        options = {"project": "p", "location": "global"}
        return {
            "PRESET": "vertex-anthropic",
            "BASE_URL": url,
            "AUTH": "bearer",
            "API_KEY": KEY,
            "OPTIONS": options,
        }

    def thinks(self, model: str) -> bool:
        return True

    def read_body(self, received: Received) -> dict[str, Any]:
        body = dict(received.body)
        demand(
            received.headers.get("authorization") == f"Bearer {KEY}",
            "Request had invalid authentication credentials.",
        )
        demand(
            body.pop("anthropic_version") == "vertex-2023-10-16",
            "anthropic_version: Field required",
        )
        root = r".*/projects/p/locations/global/publishers/anthropic/models"
        path = re.fullmatch(
            rf"{root}/(claude-sonnet-4-5)@20250929:(rawPredict|streamRawPredict)", received.path
        )
        demand(path and "model" not in body, "no such path")
        assert path
        demand(
            body.get("stream", False) == (path[2] == "streamRawPredict"),
            "stream: does not match the method",
        )
        return {**body, "model": path[1]}


def read_thinking(body: dict[str, Any], asked: Asked) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    asked.thinks = thinking["type"] != "disabled"
    demand(
        not asked.thinks or thinking["type"] == THINKING_TYPES.get(body["model"]),
        "thinking: not supported on this model",
    )
    if asked.thinks:
        demand(
            body.get("temperature", 1) == 1,
            "temperature may only be set to 1 when thinking is enabled",
        )
        demand(
            body.get("tool_choice", {"type": "auto"})["type"] in ("auto", "none"),
            "Thinking may not be enabled when tool_choice forces tool use",
        )
    if thinking["type"] == "enabled":
        demand(
            1024 <= thinking["budget_tokens"] < body["max_tokens"],
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        )
    output_format = body.get("output_config", {}).get("format")
    if output_format:
        demand(body["model"] in THINKING_TYPES, "output_config.format: not supported on this model")
        demand(
            output_format["schema"].get("additionalProperties") is False,
            "For 'object' type, 'additionalProperties' must be explicitly set to false",
        )
        asked.schema = output_format["schema"]


def read_tools(body: dict[str, Any], asked: Asked) -> None:
    for tool in body.get("tools", ()):
        known(tool, "name", "description", "input_schema", "strict", "cache_control", place="tools")
        demand(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"]),
            "tools.name: String should match pattern",
        )
        demand(tool["input_schema"]["type"] == "object", "tools.input_schema.type: Field required")
        asked.tools[tool["name"]] = tool["input_schema"]
    choice = body.get("tool_choice", {"type": "auto"})
    known(choice, "type", "name", "disable_parallel_tool_use", place="tool_choice")
    demand(choice["type"] in ("auto", "any", "tool", "none"), "tool_choice.type")
    asked.must_call = {"any": FORCED, "tool": choice.get("name", "")}.get(choice["type"], "")


def read_block(block: dict[str, Any], index: int, turn: Turn) -> None:
    block_type = block["type"]
    if block_type == "text":
        demand(block["text"], "text content blocks must be non-empty")
        demand(
            turn.role == "user" or block["text"].strip(),
            "text content blocks must contain non-whitespace text",
        )
        turn.text += block["text"]
    elif block_type == "tool_result" and turn.role == "user":
        members = ("type", "tool_use_id", "content", "is_error", "cache_control")
        known(block, *members, place="tool_result")
        demand(index == len(turn.results), "`tool_result` blocks come first")
        text = "".join(part["text"] for part in block.get("content", ()))
        turn.results.append(Result(block["tool_use_id"], text))
    elif block_type == "tool_use" and turn.role == "model":
        known(block, "type", "id", "name", "input", "cache_control", place="tool_use")
        turn.calls.append(Call(block["name"], block["input"], block["id"]))
    elif block_type == "thinking" and turn.role == "model":
        demand(index == len(turn.thoughts), "thinking blocks come first")
        demand(
            block["signature"] == signed(block["thinking"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(block["thinking"])
    else:
        raise Refused(f"unexpected block {block_type!r} in a turn of {turn.role}")


def build_blocks(asked: Asked, answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if asked.thinks and answer.thought:
        signature = signed(answer.thought)
        blocks.append({"type": "thinking", "thinking": answer.thought, "signature": signature})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for index, call in enumerate(answer.calls):
        call_id = f"toolu_{len(asked.turns)}_{index}"
        blocks.append(
            {"type": "tool_use", "id": call_id, "name": call.name, "input": call.arguments}
        )
    return blocks


def split_block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block at its start, and the deltas that complete it."""
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        return {**block, "text": ""}, deltas
    if block["type"] == "tool_use":
        input_pieces = ["", *pieces(json.dumps(block["input"], ensure_ascii=False))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in input_pieces]
        return {**block, "input": {}}, deltas
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
    deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return {**block, "thinking": "", "signature": ""}, deltas


def stop_reason(answer: Answer) -> str:
    return "tool_use" if answer.calls else "end_turn"


def event(event_type: str, **members: Any) -> bytes:
    data = json.dumps({"type": event_type, **members}, ensure_ascii=False)
    return f"event: {event_type}\ndata: {data}\n\n".encode()
