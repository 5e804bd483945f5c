"""Bedrock's Converse and ConverseStream, with its binary event stream and Claude's signed thinking.
InvokeModel, for clients of Anthropic's API, is in `bedrock_invoke`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

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
from tests.clients.wires.bedrock_invoke import INVOKE, InvokeModelWire
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

    def build_settings(self, url: str) -> dict[str, Any]:
        return {
            "PRESET": "bedrock",
            "BASE_URL": url,
            "API_KEY": KEY,
            "OPTIONS": {"region": "us-east-1"},
        }

    def can_think(self, model: str) -> bool:
        return model == CLAUDE

    def __init__(self) -> None:
        self._invoke_model = InvokeModelWire()

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(
            received.headers.get("authorization") == f"Bearer {KEY}",
            "The security token included in the request is invalid.",
        )
        if INVOKE.fullmatch(received.path):
            return replace(self._invoke_model.parse_request(received), api="InvokeModel")
        path = re.fullmatch(r".*/model/([^/]+)/(converse|converse-stream)", received.path)
        require(path, "UnknownOperationException")
        assert path
        check_members(body, *BODY_MEMBERS, path="body")
        model_input = ModelInput([], stream=path[2] == "converse-stream")
        model_input.system = "".join(block["text"] for block in body.get("system", ()))
        model_input.wants_thinking = read_thinking(body, unquote(path[1]))
        read_tools(body.get("toolConfig", {"tools": []}), model_input)
        model_input.turns = read_turns(body["messages"], read_block)
        require(
            "toolConfig" in body
            or not any(turn.calls or turn.results for turn in model_input.turns),
            "The toolConfig field must be defined when using toolUse and toolResult",
        )
        model_fields = body.get("additionalModelRequestFields", {})
        if model_fields.get("thinking", {}).get("type") == "enabled":
            check_thinking(model_input.turns)
        text_format = body.get("outputConfig", {}).get("textFormat")
        if text_format:
            model_input.schema = json.loads(text_format["structure"]["jsonSchema"]["schema"])
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        if model_input.api:
            return self._invoke_model.build_reply(model_input, output)
        message = {"role": "assistant", "content": build_blocks(model_input, output)}
        return {
            "output": {"message": message},
            "stopReason": stop_reason(output),
            "usage": USAGE,
            "metrics": {"latencyMs": 5},
        }

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        if model_input.api:
            for payload in self._invoke_model.build_payloads(model_input, output):
                yield frame("chunk", payload)
            return
        yield event("messageStart", role="assistant")
        for index, block in enumerate(build_blocks(model_input, output)):
            opening, deltas = split_block(block)
            if opening:
                yield event("contentBlockStart", contentBlockIndex=index, start=opening)
            for delta in deltas:
                yield event("contentBlockDelta", contentBlockIndex=index, delta=delta)
            yield event("contentBlockStop", contentBlockIndex=index)
        yield event("messageStop", stopReason=stop_reason(output))
        yield event("metadata", usage=USAGE, metrics={"latencyMs": 5})

    def build_error(self, problem: RequestRefused) -> Any:
        return {"message": str(problem)}

    def build_unknown_event(self) -> bytes:
        return event("brandNew", new=True)

    def change_event(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        (size,) = struct.unpack_from(">I", event, 4)
        headers, payload = event[12 : 12 + size], event[12 + size : -4]
        event_type = re.search(rb":event-type\x07..(\w+)", headers, re.DOTALL)
        assert event_type
        return frame(event_type[1].decode(), change(json.loads(payload)))


def read_thinking(body: dict[str, Any], model: str) -> bool:
    fields = body.get("additionalModelRequestFields", {})
    thinking = fields.get("thinking", {}).get("type", "disabled") != "disabled"
    require(not thinking or model == CLAUDE, "thinking: Extra inputs are not permitted")
    if thinking:
        choice = body.get("toolConfig", {}).get("toolChoice", {"auto": {}})
        require("auto" in choice, "Thinking may not be enabled when tool_choice forces tool use.")
        limit = body.get("inferenceConfig", {}).get("maxTokens", 64_000)
        require(
            1024 <= fields["thinking"]["budget_tokens"] < limit,
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        )
    return thinking


def read_tools(config: dict[str, Any], model_input: ModelInput) -> None:
    for tool in config["tools"]:
        spec = tool["toolSpec"]
        check_members(spec, "name", "description", "inputSchema", "strict", path="toolSpec")
        require(
            re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", spec["name"]),
            "toolSpec.name: failed to satisfy constraint",
        )
        require(
            spec["inputSchema"]["json"]["type"] == "object",
            "toolSpec.inputSchema.json.type must be object",
        )
        model_input.tools[spec["name"]] = spec["inputSchema"]["json"]
    choice = config.get("toolChoice", {"auto": {}})
    require(
        len(choice) == 1 and choice.keys() <= {"auto", "any", "tool"},
        "toolChoice: one of auto, any, tool",
    )
    model_input.must_call = ANY_TOOL if "any" in choice else choice.get("tool", {}).get("name", "")


def read_block(block: dict[str, Any], index: int, turn: Turn) -> None:
    [(block_type, members)] = block.items()
    if block_type == "text":
        require(members.strip(), "The text field in the ContentBlock object is blank")
        turn.text += members
    elif block_type == "toolUse" and turn.role == "model":
        check_members(members, "toolUseId", "name", "input", path="toolUse")
        require(isinstance(members["input"], dict), "toolUse.input: a JSON object")
        turn.calls.append(Call(members["name"], members["input"], members["toolUseId"]))
    elif block_type == "toolResult" and turn.role == "user":
        check_members(members, "toolUseId", "content", "status", path="toolResult")
        text = "".join(
            part["text"] if "text" in part else json.dumps(part["json"])
            for part in members["content"]
        )
        turn.results.append(Result(members["toolUseId"], text))
    elif block_type == "reasoningContent" and turn.role == "model":
        reasoning = members["reasoningText"]
        require(
            reasoning["signature"] == sign(reasoning["text"]),
            "Invalid `signature` in `thinking` block",
        )
        turn.thoughts.append(reasoning["text"])
    else:
        raise RequestRefused(f"unexpected {block_type} in a turn of {turn.role}")


def build_blocks(model_input: ModelInput, output: ModelOutput) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if model_input.wants_thinking and output.thought:
        reasoning = {"text": output.thought, "signature": sign(output.thought)}
        blocks.append({"reasoningContent": {"reasoningText": reasoning}})
    if output.text:
        blocks.append({"text": output.text})
    for index, call in enumerate(output.calls):
        call_id = f"tooluse_{len(model_input.turns)}_{index}"
        use = {"toolUseId": call_id, "name": call.name, "input": call.arguments}
        blocks.append({"toolUse": use})
    return blocks


def split_block(block: dict[str, Any]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """A block at its start, None unless it is a call, and the deltas that complete it."""
    [(block_type, members)] = block.items()
    if block_type == "text":
        return None, [{"text": piece} for piece in split_text(members)]
    if block_type == "toolUse":
        start = {"toolUse": {"toolUseId": members["toolUseId"], "name": members["name"]}}
        input_pieces = split_text(json.dumps(members["input"], ensure_ascii=False))
        return start, [{"toolUse": {"input": piece}} for piece in input_pieces]
    reasoning = members["reasoningText"]
    deltas = [{"reasoningContent": {"text": piece}} for piece in split_text(reasoning["text"])]
    return None, [*deltas, {"reasoningContent": {"signature": reasoning["signature"]}}]


def stop_reason(output: ModelOutput) -> str:
    return "tool_use" if output.calls else "end_turn"


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
