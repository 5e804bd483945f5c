"""Anthropic Messages, with thinking. https://docs.anthropic.com/en/api/messages and
…/docs/build-with-claude/extended-thinking"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
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
from tests.clients.wires.turns import as_blocks, check_thinking, read_turns
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

    def build_settings(self, url: str) -> dict[str, Any]:
        return {"PRESET": "anthropic", "BASE_URL": url, "API_KEY": KEY}

    def can_think(self, model: str) -> bool:
        return model in THINKING_TYPES

    def read_body(self, received: Received) -> dict[str, Any]:
        require(received.headers.get("x-api-key") == KEY, "invalid x-api-key")
        require(
            received.headers.get("anthropic-version") == "2023-06-01",
            "anthropic-version: header is required",
        )
        require(received.path.endswith("/messages"), "no such path")
        return dict(received.body)

    def parse_request(self, received: Received) -> ModelInput:
        body = self.read_body(received)
        check_members(body, *BODY_MEMBERS, path="body")
        require(
            isinstance(body["max_tokens"], int) and body["max_tokens"] > 0,
            "max_tokens: Field required",
        )
        model_input = ModelInput(stream=body.get("stream", False), turns=[])
        model_input.system = "\n".join(block["text"] for block in as_blocks(body.get("system")))
        read_thinking(body, model_input)
        read_tools(body, model_input)
        model_input.turns = read_turns(body["messages"], read_block)
        if body.get("thinking", {}).get("type") == "enabled":
            check_thinking(model_input.turns)
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        return {
            **REPLY_HEAD,
            "content": build_blocks(model_input, output),
            "stop_reason": stop_reason(output),
            "stop_sequence": None,
            "usage": USAGE,
        }

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        start = {
            **REPLY_HEAD,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**USAGE, "output_tokens": 1},
        }
        yield event("message_start", message=start)
        yield event("ping")
        for index, block in enumerate(build_blocks(model_input, output)):
            opening, deltas = split_block(block)
            yield event("content_block_start", index=index, content_block=opening)
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event(
            "message_delta",
            delta={"stop_reason": stop_reason(output), "stop_sequence": None},
            usage={"output_tokens": 12},
        )
        yield event("message_stop")

    def build_error(self, problem: RequestRefused) -> Any:
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

    def build_settings(self, url: str) -> dict[str, Any]:
        options = {"project": "p", "location": "global"}
        return {
            "PRESET": "vertex-anthropic",
            "BASE_URL": url,
            "AUTH": "bearer",
            "API_KEY": KEY,
            "OPTIONS": options,
        }

    def can_think(self, model: str) -> bool:
        return True

    def read_body(self, received: Received) -> dict[str, Any]:
        body = dict(received.body)
        require(
            received.headers.get("authorization") == f"Bearer {KEY}",
            "Request had invalid authentication credentials.",
        )
        require(
            body.pop("anthropic_version") == "vertex-2023-10-16",
            "anthropic_version: Field required",
        )
        root = r".*/projects/p/locations/global/publishers/anthropic/models"
        path = re.fullmatch(
            rf"{root}/(claude-sonnet-4-5)@20250929:(rawPredict|streamRawPredict)", received.path
        )
        require(path and "model" not in body, "no such path")
        assert path
        require(
            body.get("stream", False) == (path[2] == "streamRawPredict"),
            "stream: does not match the method",
        )
        return {**body, "model": path[1]}


def read_thinking(body: dict[str, Any], model_input: ModelInput) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    model_input.wants_thinking = thinking["type"] != "disabled"
    require(
        not model_input.wants_thinking or thinking["type"] == THINKING_TYPES.get(body["model"]),
        "thinking: not supported on this model",
    )
    if model_input.wants_thinking:
        require(
            body.get("temperature", 1) == 1,
            "temperature may only be set to 1 when thinking is enabled",
        )
        require(
            body.get("tool_choice", {"type": "auto"})["type"] in ("auto", "none"),
            "Thinking may not be enabled when tool_choice forces tool use",
        )
    if thinking["type"] == "enabled":
        require(
            1024 <= thinking["budget_tokens"] < body["max_tokens"],
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        )
    output_format = body.get("output_config", {}).get("format")
    if output_format:
        require(
            body["model"] in THINKING_TYPES, "output_config.format: not supported on this model"
        )
        require(
            output_format["schema"].get("additionalProperties") is False,
            "For 'object' type, 'additionalProperties' must be explicitly set to false",
        )
        model_input.schema = output_format["schema"]


def read_tools(body: dict[str, Any], model_input: ModelInput) -> None:
    for tool in body.get("tools", ()):
        check_members(
            tool, "name", "description", "input_schema", "strict", "cache_control", path="tools"
        )
        require(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool["name"]),
            "tools.name: String should match pattern",
        )
        require(tool["input_schema"]["type"] == "object", "tools.input_schema.type: Field required")
        model_input.tools[tool["name"]] = tool["input_schema"]
    choice = body.get("tool_choice", {"type": "auto"})
    check_members(choice, "type", "name", "disable_parallel_tool_use", path="tool_choice")
    require(choice["type"] in ("auto", "any", "tool", "none"), "tool_choice.type")
    model_input.must_call = {"any": ANY_TOOL, "tool": choice.get("name", "")}.get(
        choice["type"], ""
    )


def read_block(block: dict[str, Any], index: int, turn: Turn) -> None:
    block_type = block["type"]
    if block_type == "text":
        require(block["text"], "text content blocks must be non-empty")
        require(
            turn.role == "user" or block["text"].strip(),
            "text content blocks must contain non-whitespace text",
        )
        turn.text += block["text"]
    elif block_type == "tool_result" and turn.role == "user":
        members = ("type", "tool_use_id", "content", "is_error", "cache_control")
        check_members(block, *members, path="tool_result")
        require(index == len(turn.results), "`tool_result` blocks come first")
        text = "".join(part["text"] for part in as_blocks(block.get("content")))
        turn.results.append(Result(block["tool_use_id"], text))
    elif block_type == "tool_use" and turn.role == "model":
        check_members(block, "type", "id", "name", "input", "cache_control", path="tool_use")
        turn.calls.append(Call(block["name"], block["input"], block["id"]))
    elif block_type == "thinking" and turn.role == "model":
        require(index == len(turn.thoughts), "thinking blocks come first")
        require(
            block["signature"] == sign(block["thinking"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(block["thinking"])
    else:
        raise RequestRefused(f"unexpected block {block_type!r} in a turn of {turn.role}")


def build_blocks(model_input: ModelInput, output: ModelOutput) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if model_input.wants_thinking and output.thought:
        signature = sign(output.thought)
        blocks.append({"type": "thinking", "thinking": output.thought, "signature": signature})
    if output.text:
        blocks.append({"type": "text", "text": output.text})
    for index, call in enumerate(output.calls):
        call_id = f"toolu_{len(model_input.turns)}_{index}"
        blocks.append(
            {"type": "tool_use", "id": call_id, "name": call.name, "input": call.arguments}
        )
    return blocks


def split_block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block at its start, and the deltas that complete it."""
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in split_text(block["text"])]
        return {**block, "text": ""}, deltas
    if block["type"] == "tool_use":
        input_pieces = ["", *split_text(json.dumps(block["input"], ensure_ascii=False))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in input_pieces]
        return {**block, "input": {}}, deltas
    deltas = [
        {"type": "thinking_delta", "thinking": piece} for piece in split_text(block["thinking"])
    ]
    deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return {**block, "thinking": "", "signature": ""}, deltas


def stop_reason(output: ModelOutput) -> str:
    return "tool_use" if output.calls else "end_turn"


def event(event_type: str, **members: Any) -> bytes:
    data = json.dumps({"type": event_type, **members}, ensure_ascii=False)
    return f"event: {event_type}\ndata: {data}\n\n".encode()
