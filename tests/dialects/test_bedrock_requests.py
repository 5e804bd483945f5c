"""Real requests to Bedrock, written anew in the unified format: what the dialect makes of them is
what Bedrock was sent.

The unified writing is made here from the wire's, by the meaning of each block. Skipped where the
recordings are not at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from native_api.dialects import DIALECTS
from native_api.types import ChatRequest, Provider, Target

CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus"
FILES = sorted(CORPUS.glob("bedrock/*.json"))

pytestmark = pytest.mark.skipif(
    not FILES, reason="The recordings are not beside this repository (../shared/corpus)."
)

PROVIDER = Provider(
    "p", "bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", own_account=True
)
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "mp4": "video/mp4",
}
OWNED = {"performanceConfig"}
"""What the gateway owns: callers of a site cannot set it."""

EFFORTS = {1024: "minimal", 10000: "medium"}
"""Budgets of the recordings -> an effort near it; the budget itself is compared elsewhere."""


def recordings() -> Iterator[Any]:
    for path in FILES:
        recording = json.loads(path.read_text())
        yield pytest.param(recording, id=path.stem)


def chat_of(recording: dict[str, Any]) -> ChatRequest:
    body = recording["request"]
    chat: dict[str, Any] = {
        "model": "m",
        "messages": list(system_of(body)),
        "stream": recording["stream"],
    }
    for turn in body["messages"]:
        chat["messages"] += list(
            users(turn["content"]) if turn["role"] == "user" else [assistants(turn["content"])]
        )
    config = body.get("inferenceConfig") or {}
    names = {
        "maxTokens": "max_tokens",
        "temperature": "temperature",
        "topP": "top_p",
        "stopSequences": "stop",
    }
    chat |= {names[name]: value for name, value in config.items()}
    return {**chat, **tools_of(body), **model_fields(body)}  # type: ignore[typeddict-item]


def system_of(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    parts = list(parts_of(body.get("system") or []))
    if parts:
        yield {"role": "system", "content": parts}


def parts_of(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Parts, each with the cache point behind it; the line break that Bedrock needs between a
    document and its point is none."""
    for position, block in enumerate(blocks):
        following = blocks[position + 1 : position + 3]
        if "cachePoint" in block or (
            block == {"text": "\n"} and "document" in blocks[position - 1]
        ):
            continue
        part = part_of(block)
        if any(
            "cachePoint" in after
            for after in (following[1:] if following[:1] == [{"text": "\n"}] else following[:1])
        ):
            part["cache_control"] = {"type": "ephemeral"}
        yield part


def part_of(block: dict[str, Any]) -> dict[str, Any]:
    [(kind, told)] = block.items()
    if kind == "text":
        return {"type": "text", "text": told}
    source, media_type = told["source"], MEDIA_TYPES[told["format"]]
    url = (
        source["s3Location"]["uri"]
        if "s3Location" in source
        else f"data:{media_type};base64,{source['bytes']}"
    )
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    file: dict[str, Any] = {"file_url" if "s3Location" in source else "file_data": url}
    return {
        "type": "file",
        "file": {
            **file,
            **({"filename": f"{told['name']}.{told['format']}"} if "name" in told else {}),
        },
    }


def users(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if "toolResult" in block:
            result = block["toolResult"]
            told = {
                "role": "tool",
                "tool_call_id": result["toolUseId"],
                "content": list(parts_of(result["content"])),
            }
            yield {**told, "is_error": True} if result.get("status") == "error" else told
    rest = [block for block in blocks if "toolResult" not in block]
    if rest:
        yield {"role": "user", "content": list(parts_of(rest))}


def assistants(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [{"type": "text", "text": block["text"]} for block in blocks if "text" in block]
    message: dict[str, Any] = {"role": "assistant", "content": texts}
    details = [
        detail(block["reasoningContent"], index)
        for index, block in enumerate(blocks)
        if "reasoningContent" in block
    ]
    calls = [call(block["toolUse"]) for block in blocks if "toolUse" in block]
    return {
        **message,
        **({"reasoning_details": details} if details else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def detail(reasoning: dict[str, Any], index: int) -> dict[str, Any]:
    head = {"format": "bedrock", "index": index}
    if "redactedContent" in reasoning:
        return {"type": "reasoning.encrypted", "data": reasoning["redactedContent"], **head}
    return {"type": "reasoning.text", **reasoning["reasoningText"], **head}


def call(use: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": use["toolUseId"],
        "type": "function",
        "function": {"name": use["name"], "arguments": json.dumps(use["input"])},
    }


def tools_of(body: dict[str, Any]) -> dict[str, Any]:
    config = body.get("toolConfig")
    if not config:
        return {}
    tools: list[dict[str, Any]] = []
    for tool in config["tools"]:
        if "cachePoint" in tool:
            tools[-1]["cache_control"] = {"type": "ephemeral"}
            continue
        spec = tool["toolSpec"]
        function = {name: spec[name] for name in ("name", "description", "strict") if name in spec}
        tools.append(
            {
                "type": "function",
                "function": {**function, "parameters": spec["inputSchema"]["json"]},
            }
        )
    choice = config.get("toolChoice") or {"auto": {}}
    [(kind, told)] = choice.items()
    chosen = {
        "auto": "auto",
        "any": "required",
        "tool": {"type": "function", "function": {"name": told.get("name")}},
    }[kind]
    return {"tools": tools, "tool_choice": chosen}


def model_fields(body: dict[str, Any]) -> dict[str, Any]:
    fields = dict(body.get("additionalModelRequestFields") or {})
    told: dict[str, Any] = {}
    thinking = fields.pop("thinking", {})
    if thinking.get("type") == "adaptive":
        told["reasoning_effort"] = fields.pop("output_config")["effort"]
    elif thinking:
        told["reasoning_effort"] = EFFORTS[thinking["budget_tokens"]]
    if "reasoning_effort" in fields:
        told["reasoning_effort"] = fields.pop("reasoning_effort")
    if "outputConfig" in body:
        wanted = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        told["response_format"] = {
            "type": "json_schema",
            "json_schema": {**wanted, "schema": json.loads(wanted["schema"])},
        }
    own = {name: body[name] for name in ("guardrailConfig",) if name in body}
    if fields:
        own["additionalModelRequestFields"] = fields
    return {**told, **({"provider_options": {"p": own}} if own else {})}


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """Without what is the wire's default, and with the schema as a value."""
    told = json.loads(
        json.dumps(
            {
                name: value
                for name, value in body.items()
                if value not in ({}, []) and name not in OWNED
            }
        )
    )
    for block in [block for turn in told["messages"] for block in turn["content"]]:
        if block.get("toolResult", {}).get("status") == "success":
            del block["toolResult"]["status"]
    if told.get("toolConfig", {}).get("toolChoice") == {"auto": {}}:
        del told["toolConfig"]["toolChoice"]
    if "outputConfig" in told:
        schema = told["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
    thinking = told.get("additionalModelRequestFields", {}).get("thinking", {})
    if "budget_tokens" in thinking:
        thinking["budget_tokens"] = EFFORTS.get(thinking["budget_tokens"], "medium")
    return told


@pytest.mark.parametrize("recording", list(recordings()))
def test_a_request_of_the_same_meaning_is_the_same_body(recording: dict[str, Any]) -> None:
    model = unquote(recording["path"].split("/")[2])
    request = DIALECTS["bedrock"].request(chat_of(recording), Target(PROVIDER, model))
    assert normal(request.body) == normal(recording["request"])
    assert request.omitted == ()
    assert unquote(request.url) == PROVIDER.base_url + unquote(recording["path"])
