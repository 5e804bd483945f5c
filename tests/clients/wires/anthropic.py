"""Anthropic Messages, with thinking. https://docs.anthropic.com/en/api/messages and
…/docs/build-with-claude/extended-thinking"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces, signed
from tests.scripted_provider import Received

BODY = ("model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking", "output_config", "temperature", "top_p",
        "stop_sequences", "metadata", "service_tier")  # fmt: skip
THINKERS = {"claude-sonnet-4-5": "enabled", "claude-opus-4-7": "adaptive"}
USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 5,
    "output_tokens": 12,
}


class AnthropicWire(Wire):
    dialect = "anthropic"
    models = ("claude-sonnet-4-5", "claude-opus-4-7", "claude-3-5-haiku-latest")

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "anthropic", "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        return model in THINKERS

    def body_of(self, received: Received) -> dict[str, Any]:
        demand(received.headers.get("x-api-key") == KEY, "invalid x-api-key")
        demand(
            received.headers.get("anthropic-version") == "2023-06-01",
            "anthropic-version: header is required",
        )
        demand(received.path.endswith("/messages"), "no such address")
        return dict(received.body)

    def read(self, received: Received) -> Asked:
        body = self.body_of(received)
        known(body, *BODY, place="body")
        demand(
            isinstance(body["max_tokens"], int) and body["max_tokens"] > 0,
            "max_tokens: Field required",
        )
        asked = Asked(stream=body.get("stream", False), turns=[])
        asked.system = "\n".join(block["text"] for block in body.get("system", ()))
        read_thinking(body, asked)
        read_tools(body, asked)
        read_messages(body["messages"], asked, body.get("thinking", {}).get("type") == "enabled")
        return asked

    def reply(self, asked: Asked, said: Answer) -> Any:
        return {
            **head(),
            "content": blocks(asked, said),
            "stop_reason": reason(said),
            "stop_sequence": None,
            "usage": USAGE,
        }

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        start = {
            **head(),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**USAGE, "output_tokens": 1},
        }
        yield event("message_start", message=start)
        yield event("ping")
        for index, block in enumerate(blocks(asked, said)):
            opening, deltas = opened(block)
            yield event("content_block_start", index=index, content_block=opening)
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
        yield event(
            "message_delta",
            delta={"stop_reason": reason(said), "stop_sequence": None},
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

    def body_of(self, received: Received) -> dict[str, Any]:
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
        address = re.fullmatch(
            rf"{root}/(claude-sonnet-4-5)@20250929:(rawPredict|streamRawPredict)", received.path
        )
        demand(address and "model" not in body, "no such address")
        assert address
        demand(
            body.get("stream", False) == (address[2] == "streamRawPredict"),
            "stream: the method says otherwise",
        )
        return {**body, "model": address[1]}


def read_thinking(body: dict[str, Any], asked: Asked) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    asked.thinks = thinking["type"] != "disabled"
    demand(
        not asked.thinks or thinking["type"] == THINKERS.get(body["model"]),
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
    wanted = body.get("output_config", {}).get("format")
    if wanted:
        demand(body["model"] in THINKERS, "output_config.format: not supported on this model")
        demand(
            wanted["schema"].get("additionalProperties") is False,
            "For 'object' type, 'additionalProperties' must be explicitly set to false",
        )
        asked.schema = wanted["schema"]


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


def read_messages(messages: list[dict[str, Any]], asked: Asked, must_think: bool) -> None:
    """Turns alternate; each `tool_use` has its result first in the next turn; thinking comes first
    and as it was written."""
    expected: list[str] = []
    for position, message in enumerate(messages):
        known(message, "role", "content", place=f"messages.{position}")
        demand(
            message["role"] == ("user", "assistant")[position % 2],
            "messages: roles must alternate, and begin with user",
        )
        content = message["content"]
        demand(content, f"messages.{position}: content must be non-empty")
        turn = Turn("model" if message["role"] == "assistant" else "user")
        for index, block in enumerate(content):
            read_block(block, turn, index == len(turn.results), index == len(turn.thoughts))
        given = [result.call_id for result in turn.results]
        demand(
            sorted(given) == sorted(expected),
            f"`tool_use` ids {expected} without `tool_result` blocks immediately after, or others: {given}",
        )
        expected = [call.id for call in turn.calls]
        asked.turns.append(turn)
    demand(not expected, "`tool_use` ids without `tool_result` blocks")
    if must_think and asked.turns[-1].results:
        demand(
            asked.turns[-2].thoughts,
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        )


def read_block(
    block: dict[str, Any], turn: Turn, only_results_before: bool, only_thoughts_before: bool
) -> None:
    kind = block["type"]
    if kind == "text":
        demand(block["text"], "text content blocks must be non-empty")
        demand(
            turn.role == "user" or block["text"].strip(),
            "text content blocks must contain non-whitespace text",
        )
        turn.text += block["text"]
    elif kind == "tool_result" and turn.role == "user":
        known(
            block,
            "type",
            "tool_use_id",
            "content",
            "is_error",
            "cache_control",
            place="tool_result",
        )
        demand(only_results_before, "`tool_result` blocks come first")
        turn.results.append(
            Result(block["tool_use_id"], "".join(part["text"] for part in block.get("content", ())))
        )
    elif kind == "tool_use" and turn.role == "model":
        known(block, "type", "id", "name", "input", "cache_control", place="tool_use")
        turn.calls.append(Call(block["name"], block["input"], block["id"]))
    elif kind == "thinking" and turn.role == "model":
        demand(only_thoughts_before, "thinking blocks come first")
        demand(
            block["signature"] == signed(block["thinking"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(block["thinking"])
    else:
        raise Refused(f"unexpected block {kind!r} in a turn of {turn.role}")


def blocks(asked: Asked, said: Answer) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    if asked.thinks and said.thought:
        told.append(
            {"type": "thinking", "thinking": said.thought, "signature": signed(said.thought)}
        )
    if said.text:
        told.append({"type": "text", "text": said.text})
    for number, call in enumerate(said.calls):
        told.append(
            {
                "type": "tool_use",
                "id": f"toolu_{len(asked.turns)}_{number}",
                "name": call.name,
                "input": call.arguments,
            }
        )
    return told


def opened(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and the deltas that make it whole."""
    if block["type"] == "text":
        return {**block, "text": ""}, [
            {"type": "text_delta", "text": piece} for piece in pieces(block["text"])
        ]
    if block["type"] == "tool_use":
        written = pieces(json.dumps(block["input"], ensure_ascii=False))
        return {**block, "input": {}}, [
            {"type": "input_json_delta", "partial_json": piece} for piece in ["", *written]
        ]
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
    return {**block, "thinking": "", "signature": ""}, [
        *deltas,
        {"type": "signature_delta", "signature": block["signature"]},
    ]


def reason(said: Answer) -> str:
    return "tool_use" if said.calls else "end_turn"


def head() -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members}, ensure_ascii=False)}\n\n".encode()
