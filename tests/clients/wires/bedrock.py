"""Bedrock's Converse and ConverseStream, with its binary event stream and Claude's signed thinking.

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
from tests.clients.wires.turns import check_thinking, read_turns
from tests.scripted_provider import Received

BODY_MEMBERS = (
    "messages", "system", "toolConfig", "inferenceConfig", "outputConfig",
    "additionalModelRequestFields", "requestMetadata", "serviceTier",
)  # fmt: skip
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
        path = re.fullmatch(r".*/model/([^/]+)/(converse|converse-stream)", received.path)
        demand(path, "UnknownOperationException")
        assert path
        known(body, *BODY_MEMBERS, place="body")
        asked = Asked([], stream=path[2] == "converse-stream")
        asked.system = "".join(block["text"] for block in body.get("system", ()))
        asked.thinks = read_thinking(body, unquote(path[1]))
        read_tools(body.get("toolConfig", {"tools": []}), asked)
        asked.turns = read_turns(body["messages"], read_block)
        demand(
            "toolConfig" in body or not any(turn.calls or turn.results for turn in asked.turns),
            "The toolConfig field must be defined when using toolUse and toolResult",
        )
        model_fields = body.get("additionalModelRequestFields", {})
        if model_fields.get("thinking", {}).get("type") == "enabled":
            check_thinking(asked.turns)
        text_format = body.get("outputConfig", {}).get("textFormat")
        if text_format:
            asked.schema = json.loads(text_format["structure"]["jsonSchema"]["schema"])
        return asked

    def reply(self, asked: Asked, answer: Answer) -> Any:
        message = {"role": "assistant", "content": build_blocks(asked, answer)}
        return {
            "output": {"message": message},
            "stopReason": stop_reason(answer),
            "usage": USAGE,
            "metrics": {"latencyMs": 5},
        }

    def stream(self, asked: Asked, answer: Answer) -> Iterable[bytes]:
        yield event("messageStart", role="assistant")
        for index, block in enumerate(build_blocks(asked, answer)):
            opening, deltas = split_block(block)
            if opening:
                yield event("contentBlockStart", contentBlockIndex=index, start=opening)
            for delta in deltas:
                yield event("contentBlockDelta", contentBlockIndex=index, delta=delta)
            yield event("contentBlockStop", contentBlockIndex=index)
        yield event("messageStop", stopReason=stop_reason(answer))
        yield event("metadata", usage=USAGE, metrics={"latencyMs": 5})

    def error(self, problem: Refused) -> Any:
        return {"message": str(problem)}

    def unknown(self) -> bytes:
        return event("brandNew", new=True)

    def changed(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        (size,) = struct.unpack_from(">I", event, 4)
        headers, payload = event[12 : 12 + size], event[12 + size : -4]
        event_type = re.search(rb":event-type\x07..(\w+)", headers, re.DOTALL)
        assert event_type
        return frame(event_type[1].decode(), change(json.loads(payload)))


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
        spec = tool["toolSpec"]
        known(spec, "name", "description", "inputSchema", "strict", place="toolSpec")
        demand(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", spec["name"]),
            "toolSpec.name: failed to satisfy constraint",
        )
        demand(
            spec["inputSchema"]["json"]["type"] == "object",
            "toolSpec.inputSchema.json.type must be object",
        )
        asked.tools[spec["name"]] = spec["inputSchema"]["json"]
    choice = config.get("toolChoice", {"auto": {}})
    demand(
        len(choice) == 1 and choice.keys() <= {"auto", "any", "tool"},
        "toolChoice: one of auto, any, tool",
    )
    asked.must_call = FORCED if "any" in choice else choice.get("tool", {}).get("name", "")


def read_block(block: dict[str, Any], index: int, turn: Turn) -> None:
    [(block_type, members)] = block.items()
    if block_type == "text":
        demand(members.strip(), "The text field in the ContentBlock object is blank")
        turn.text += members
    elif block_type == "toolUse" and turn.role == "model":
        known(members, "toolUseId", "name", "input", place="toolUse")
        demand(isinstance(members["input"], dict), "toolUse.input: a JSON object")
        turn.calls.append(Call(members["name"], members["input"], members["toolUseId"]))
    elif block_type == "toolResult" and turn.role == "user":
        known(members, "toolUseId", "content", "status", place="toolResult")
        text = "".join(
            part["text"] if "text" in part else json.dumps(part["json"])
            for part in members["content"]
        )
        turn.results.append(Result(members["toolUseId"], text))
    elif block_type == "reasoningContent" and turn.role == "model":
        reasoning = members["reasoningText"]
        demand(
            reasoning["signature"] == signed(reasoning["text"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(reasoning["text"])
    else:
        raise Refused(f"unexpected {block_type} in a turn of {turn.role}")


def build_blocks(asked: Asked, answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if asked.thinks and answer.thought:
        reasoning = {"text": answer.thought, "signature": signed(answer.thought)}
        blocks.append({"reasoningContent": {"reasoningText": reasoning}})
    if answer.text:
        blocks.append({"text": answer.text})
    for index, call in enumerate(answer.calls):
        call_id = f"tooluse_{len(asked.turns)}_{index}"
        use = {"toolUseId": call_id, "name": call.name, "input": call.arguments}
        blocks.append({"toolUse": use})
    return blocks


def split_block(block: dict[str, Any]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """A block at its start, None unless it is a call, and the deltas that complete it."""
    [(block_type, members)] = block.items()
    if block_type == "text":
        return None, [{"text": piece} for piece in pieces(members)]
    if block_type == "toolUse":
        start = {"toolUse": {"toolUseId": members["toolUseId"], "name": members["name"]}}
        input_pieces = pieces(json.dumps(members["input"], ensure_ascii=False))
        return start, [{"toolUse": {"input": piece}} for piece in input_pieces]
    reasoning = members["reasoningText"]
    deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(reasoning["text"])]
    return None, [*deltas, {"reasoningContent": {"signature": reasoning["signature"]}}]


def stop_reason(answer: Answer) -> str:
    return "tool_use" if answer.calls else "end_turn"


def event(event_type: str, **members: Any) -> bytes:
    return frame(event_type, members)


def frame(event_type: str, members: dict[str, Any]) -> bytes:
    """One message of the event stream: lengths, headers, payload, each part with its checksum.

    https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
    """
    header_values = {
        ":event-type": event_type,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    headers = b"".join(header(name, value) for name, value in header_values.items())
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
