"""Recorded requests to Bedrock, rewritten in the unified format: the dialect must build from them
what Bedrock was sent.

The unified requests are made here from the recordings, by the meaning of each block. The tests are
skipped if the recordings are not available.
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
CONFIG_FIELDS = {
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
}
"""Member of `inferenceConfig` -> unified field."""
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "mp4": "video/mp4",
}
GATEWAY_OWNED = {"performanceConfig"}
"""Members that the gateway decides: callers of a site cannot set them."""

EFFORTS = {1024: "minimal", 10000: "medium"}
"""Thinking budget of a recording -> an effort near it. Other tests compare the budget itself."""

CACHE_CONTROL = {"cache_control": {"type": "ephemeral"}}


def recordings() -> Iterator[Any]:
    for path in FILES:
        recording = json.loads(path.read_text())
        yield pytest.param(recording, id=path.stem)


def build_chat(recording: dict[str, Any]) -> ChatRequest:
    body = recording["request"]
    chat: dict[str, Any] = {
        "model": "m",
        "messages": list(build_system_messages(body)),
        "stream": recording["stream"],
    }
    for turn in body["messages"]:
        if turn["role"] == "user":
            chat["messages"] += build_user_messages(turn["content"])
        else:
            chat["messages"].append(build_assistant_message(turn["content"]))
    config = body.get("inferenceConfig") or {}
    chat |= {CONFIG_FIELDS[name]: value for name, value in config.items()}
    return {**chat, **build_tools(body), **build_model_fields(body)}  # type: ignore[typeddict-item]


# --- messages ------------------------------------------------------------------------------------


def build_system_messages(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    parts = list(build_parts(body.get("system") or []))
    if parts:
        yield {"role": "system", "content": parts}


def build_parts(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The parts, each with the cache point after it. The line break that Bedrock requires between a
    document and its cache point is not a part."""
    for index, block in enumerate(blocks):
        is_line_break = block == {"text": "\n"} and "document" in blocks[index - 1]
        if "cachePoint" in block or is_line_break:
            continue
        following = blocks[index + 1 : index + 3]
        if following[:1] == [{"text": "\n"}]:
            following = following[1:]
        is_cached = any("cachePoint" in block for block in following[:1])
        yield {**build_part(block), **(CACHE_CONTROL if is_cached else {})}


def build_part(block: dict[str, Any]) -> dict[str, Any]:
    [(block_type, members)] = block.items()
    if block_type == "text":
        return {"type": "text", "text": members}
    source, media_type = members["source"], MEDIA_TYPES[members["format"]]
    is_remote = "s3Location" in source
    url = (
        source["s3Location"]["uri"] if is_remote else f"data:{media_type};base64,{source['bytes']}"
    )
    if block_type == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    file: dict[str, Any] = {"file_url" if is_remote else "file_data": url}
    if "name" in members:
        file["filename"] = f"{members['name']}.{members['format']}"
    return {"type": "file", "file": file}


def build_user_messages(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if "toolResult" in block:
            yield build_result(block["toolResult"])
    others = [block for block in blocks if "toolResult" not in block]
    if others:
        yield {"role": "user", "content": list(build_parts(others))}


def build_result(result: dict[str, Any]) -> dict[str, Any]:
    message = {
        "role": "tool",
        "tool_call_id": result["toolUseId"],
        "content": list(build_parts(result["content"])),
    }
    return {**message, "is_error": True} if result.get("status") == "error" else message


def build_assistant_message(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    texts = [{"type": "text", "text": block["text"]} for block in blocks if "text" in block]
    reasoning = [
        build_reasoning_item(block["reasoningContent"], index)
        for index, block in enumerate(blocks)
        if "reasoningContent" in block
    ]
    calls = [build_call(block["toolUse"]) for block in blocks if "toolUse" in block]
    return {
        "role": "assistant",
        "content": texts,
        **({"reasoning_details": reasoning} if reasoning else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def build_reasoning_item(reasoning: dict[str, Any], index: int) -> dict[str, Any]:
    marks = {"format": "bedrock", "index": index, "issued_by": "p/anthropic"}
    if "redactedContent" in reasoning:
        return {"type": "reasoning.encrypted", "data": reasoning["redactedContent"], **marks}
    return {"type": "reasoning.text", **reasoning["reasoningText"], **marks}


def build_call(use: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": use["toolUseId"],
        "type": "function",
        "function": {"name": use["name"], "arguments": json.dumps(use["input"])},
    }


# --- tools and the model's own fields ------------------------------------------------------------


def build_tools(body: dict[str, Any]) -> dict[str, Any]:
    config = body.get("toolConfig")
    if not config:
        return {}
    tools: list[dict[str, Any]] = []
    for tool in config["tools"]:
        if "cachePoint" in tool:
            tools[-1] |= CACHE_CONTROL
        else:
            tools.append(build_tool(tool["toolSpec"]))
    [(choice_type, choice)] = (config.get("toolChoice") or {"auto": {}}).items()
    tool_choice = {
        "auto": "auto",
        "any": "required",
        "tool": {"type": "function", "function": {"name": choice.get("name")}},
    }[choice_type]
    return {"tools": tools, "tool_choice": tool_choice}


def build_tool(spec: dict[str, Any]) -> dict[str, Any]:
    function = {name: spec[name] for name in ("name", "description", "strict") if name in spec}
    function["parameters"] = spec["inputSchema"]["json"]
    return {"type": "function", "function": function}


def build_model_fields(body: dict[str, Any]) -> dict[str, Any]:
    """`reasoning_effort`, `response_format` and `provider_options`."""
    model_fields = dict(body.get("additionalModelRequestFields") or {})
    fields = read_reasoning(model_fields)
    if "outputConfig" in body:
        json_schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {**json_schema, "schema": json.loads(json_schema["schema"])},
        }
    options = {name: body[name] for name in ("guardrailConfig",) if name in body}
    if model_fields:
        options["additionalModelRequestFields"] = model_fields
    if options:
        fields["provider_options"] = {"p": options}
    return fields


def read_reasoning(model_fields: dict[str, Any]) -> dict[str, Any]:
    """Take the reasoning out of the model's own fields."""
    thinking = model_fields.pop("thinking", {})
    if thinking.get("type") == "adaptive":
        return {"reasoning_effort": model_fields.pop("output_config")["effort"]}
    if thinking:
        return {"reasoning_effort": EFFORTS[thinking["budget_tokens"]]}
    if "reasoning_effort" in model_fields:
        return {"reasoning_effort": model_fields.pop("reasoning_effort")}
    return {}


# --- the comparison ------------------------------------------------------------------------------


def normalize(body: dict[str, Any]) -> dict[str, Any]:
    """Without the wire's defaults, and with the schema as a value."""
    normalized = json.loads(
        json.dumps(
            {
                name: value
                for name, value in body.items()
                if value not in ({}, []) and name not in GATEWAY_OWNED
            }
        )
    )
    for block in [block for turn in normalized["messages"] for block in turn["content"]]:
        if block.get("toolResult", {}).get("status") == "success":
            del block["toolResult"]["status"]
    if normalized.get("toolConfig", {}).get("toolChoice") == {"auto": {}}:
        del normalized["toolConfig"]["toolChoice"]
    if "outputConfig" in normalized:
        json_schema = normalized["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        json_schema["schema"] = json.loads(json_schema["schema"])
    thinking = normalized.get("additionalModelRequestFields", {}).get("thinking", {})
    if "budget_tokens" in thinking:
        thinking["budget_tokens"] = EFFORTS.get(thinking["budget_tokens"], "medium")
    return normalized


@pytest.mark.parametrize("recording", list(recordings()))
def test_a_request_of_the_same_meaning_becomes_the_same_body(recording: dict[str, Any]) -> None:
    model = unquote(recording["path"].split("/")[2])
    request = DIALECTS["bedrock"].request(build_chat(recording), Target(PROVIDER, model))
    assert normalize(request.body) == normalize(recording["request"])
    assert request.omitted == ()
    assert unquote(request.url) == PROVIDER.base_url + unquote(recording["path"])
