"""Bedrock's Converse and ConverseStream, its answers in the binary event stream, Claude's thinking
signed.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces, signed
from tests.scripted_provider import Received

BODY = ("messages", "system", "toolConfig", "inferenceConfig", "outputConfig", "additionalModelRequestFields", "requestMetadata",
        "serviceTier")  # fmt: skip
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USAGE = {
    "inputTokens": 10,
    "cacheReadInputTokens": 5,
    "cacheWriteInputTokens": 5,
    "outputTokens": 12,
    "totalTokens": 32,
}


class BedrockWire(Wire):
    dialect = "bedrock"
    models = (CLAUDE, "amazon.nova-pro-v1:0")
    media_type = "application/vnd.amazon.eventstream"
    id_fields = ()

    def provider(self, url: str) -> dict[str, Any]:
        return {
            "PRESET": "bedrock",
            "BASE_URL": url,
            "API_KEY": KEY,
            "OPTIONS": {"region": "us-east-1"},
        }

    def thinks(self, model: str) -> bool:
        return model == CLAUDE

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(
            received.headers.get("authorization") == f"Bearer {KEY}",
            "The security token included in the request is invalid.",
        )
        address = re.fullmatch(r".*/model/([^/]+)/(converse|converse-stream)", received.path)
        demand(address, "UnknownOperationException")
        assert address
        known(body, *BODY, place="body")
        asked = Asked([], stream=address[2] == "converse-stream")
        asked.system = "".join(block["text"] for block in body.get("system", ()))
        asked.thinks = read_thinking(body, unquote(address[1]))
        read_tools(body.get("toolConfig", {"tools": []}), asked)
        must_think = (
            body.get("additionalModelRequestFields", {}).get("thinking", {}).get("type")
            == "enabled"
        )
        read_messages(body["messages"], asked, "toolConfig" in body, must_think)
        wanted = body.get("outputConfig", {}).get("textFormat")
        if wanted:
            asked.schema = json.loads(wanted["structure"]["jsonSchema"]["schema"])
        return asked

    def reply(self, asked: Asked, said: Answer) -> Any:
        message = {"role": "assistant", "content": blocks(asked, said)}
        return {
            "output": {"message": message},
            "stopReason": reason(said),
            "usage": USAGE,
            "metrics": {"latencyMs": 5},
        }

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        yield event("messageStart", role="assistant")
        for index, block in enumerate(blocks(asked, said)):
            opening, deltas = opened(block)
            if opening:
                yield event("contentBlockStart", contentBlockIndex=index, start=opening)
            for delta in deltas:
                yield event("contentBlockDelta", contentBlockIndex=index, delta=delta)
            yield event("contentBlockStop", contentBlockIndex=index)
        yield event("messageStop", stopReason=reason(said))
        yield event("metadata", usage=USAGE, metrics={"latencyMs": 5})

    def error(self, problem: Refused) -> Any:
        return {"message": str(problem)}

    def unknown(self) -> bytes:
        return event("brandNew", new=True)

    def changed(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        (size,) = struct.unpack_from(">I", event, 4)
        headers, payload = event[12 : 12 + size], event[12 + size : -4]
        kind = re.search(rb":event-type\x07..(\w+)", headers, re.DOTALL)
        assert kind
        return framed(kind[1].decode(), change(json.loads(payload)))


def read_thinking(body: dict[str, Any], model: str) -> bool:
    fields = body.get("additionalModelRequestFields", {})
    thinking = fields.get("thinking", {}).get("type", "disabled") != "disabled"
    demand(not thinking or model == CLAUDE, "thinking: Extra inputs are not permitted")
    if thinking:
        choice = body.get("toolConfig", {}).get("toolChoice", {"auto": {}})
        demand("auto" in choice, "Thinking may not be enabled when tool_choice forces tool use.")
        limit = body.get("inferenceConfig", {}).get("maxTokens", 64_000)
        demand(
            1024 <= fields["thinking"]["budget_tokens"] < limit,
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        )
    return thinking


def read_tools(config: dict[str, Any], asked: Asked) -> None:
    for tool in config["tools"]:
        told = tool["toolSpec"]
        known(told, "name", "description", "inputSchema", "strict", place="toolSpec")
        demand(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", told["name"]),
            "toolSpec.name: failed to satisfy constraint",
        )
        demand(
            told["inputSchema"]["json"]["type"] == "object",
            "toolSpec.inputSchema.json.type must be object",
        )
        asked.tools[told["name"]] = told["inputSchema"]["json"]
    choice = config.get("toolChoice", {"auto": {}})
    demand(
        len(choice) == 1 and choice.keys() <= {"auto", "any", "tool"},
        "toolChoice: one of auto, any, tool",
    )
    asked.must_call = FORCED if "any" in choice else choice.get("tool", {}).get("name", "")


def read_messages(
    messages: list[dict[str, Any]], asked: Asked, has_tools: bool, must_think: bool
) -> None:
    expected: list[str] = []
    for position, message in enumerate(messages):
        known(message, "role", "content", place=f"messages.{position}")
        demand(
            message["role"] == ("user", "assistant")[position % 2],
            "A conversation must alternate between user and assistant roles",
        )
        demand(message["content"], "The content field in the Message object is empty")
        turn = Turn("model" if message["role"] == "assistant" else "user")
        for block in message["content"]:
            read_block(block, turn)
        given = [result.call_id for result in turn.results]
        demand(
            sorted(given) == sorted(expected),
            f"Expected toolResult blocks for {expected}, not {given}",
        )
        demand(
            has_tools or not (turn.calls or turn.results),
            "The toolConfig field must be defined when using toolUse and toolResult",
        )
        expected = [call.id for call in turn.calls]
        asked.turns.append(turn)
    demand(not expected, "toolUse blocks without toolResult blocks")
    if must_think and asked.turns[-1].results:
        demand(
            asked.turns[-2].thoughts,
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        )


def read_block(block: dict[str, Any], turn: Turn) -> None:
    [(kind, told)] = block.items()
    if kind == "text":
        demand(told.strip(), "The text field in the ContentBlock object is blank")
        turn.text += told
    elif kind == "toolUse" and turn.role == "model":
        known(told, "toolUseId", "name", "input", place="toolUse")
        demand(isinstance(told["input"], dict), "toolUse.input: a JSON object")
        turn.calls.append(Call(told["name"], told["input"], told["toolUseId"]))
    elif kind == "toolResult" and turn.role == "user":
        known(told, "toolUseId", "content", "status", place="toolResult")
        text = "".join(
            part["text"] if "text" in part else json.dumps(part["json"]) for part in told["content"]
        )
        turn.results.append(Result(told["toolUseId"], text))
    elif kind == "reasoningContent" and turn.role == "model":
        thought = told["reasoningText"]
        demand(
            thought["signature"] == signed(thought["text"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(thought["text"])
    else:
        raise Refused(f"unexpected {kind} in a turn of {turn.role}")


def blocks(asked: Asked, said: Answer) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    if asked.thinks and said.thought:
        told.append(
            {
                "reasoningContent": {
                    "reasoningText": {"text": said.thought, "signature": signed(said.thought)}
                }
            }
        )
    if said.text:
        told.append({"text": said.text})
    for number, call in enumerate(said.calls):
        told.append(
            {
                "toolUse": {
                    "toolUseId": f"tooluse_{len(asked.turns)}_{number}",
                    "name": call.name,
                    "input": call.arguments,
                }
            }
        )
    return told


def opened(block: dict[str, Any]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """How a block begins, which only calls are told of, and the deltas that make it whole."""
    [(kind, told)] = block.items()
    if kind == "text":
        return None, [{"text": piece} for piece in pieces(told)]
    if kind == "toolUse":
        start = {"toolUse": {"toolUseId": told["toolUseId"], "name": told["name"]}}
        return start, [
            {"toolUse": {"input": piece}}
            for piece in pieces(json.dumps(told["input"], ensure_ascii=False))
        ]
    thought = told["reasoningText"]
    deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(thought["text"])]
    return None, [*deltas, {"reasoningContent": {"signature": thought["signature"]}}]


def reason(said: Answer) -> str:
    return "tool_use" if said.calls else "end_turn"


def event(kind: str, **members: Any) -> bytes:
    return framed(kind, members)


def framed(kind: str, members: dict[str, Any]) -> bytes:
    """One message of the event stream: lengths, headers, payload, each part with its checksum.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
    """
    told = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(header(name, value) for name, value in told.items())
    payload = json.dumps(members, ensure_ascii=False).encode()
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def header(name: str, value: str) -> bytes:
    return (
        struct.pack(">B", len(name))
        + name.encode()
        + struct.pack(">BH", 7, len(value.encode()))
        + value.encode()
    )
