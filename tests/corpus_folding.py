"""Folds the events of a recorded stream into the complete reply, without the dialects.

An event is its type and its data.
"""

from __future__ import annotations

import json
from typing import Any

from native_api.types import Event

Events = list[tuple[str, Any]]


def fold_openai_stream(events: Events) -> dict[str, Any]:
    """The reply of these chunks of one choice, folded without the dialect."""
    chunks = [data for _, data in events]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    calls: dict[int, dict[str, Any]] = {}
    for piece in [piece for delta in deltas for piece in delta.get("tool_calls") or ()]:
        call = calls.setdefault(
            piece["index"], {"id": piece.get("id"), "function": {"name": "", "arguments": ""}}
        )
        for name, text in piece["function"].items():
            call["function"][name] += text
    details = [
        item
        for delta in deltas
        for item in delta.get("reasoning_details") or ()
        if item.get("signature") or item.get("data")
    ]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    message = {
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "reasoning": "".join(
            delta.get("reasoning") or delta.get("reasoning_content") or "" for delta in deltas
        ),
        "tool_calls": [calls[index] for index in sorted(calls)],
        "reasoning_details": [
            {"data": item.get("signature") or item.get("data")} for item in details
        ],
        "annotations": [item for delta in deltas for item in delta.get("annotations") or ()],
    }
    return {
        "id": chunks[0]["id"],
        "model": chunks[0]["model"],
        "choices": [{"message": message, "finish_reason": reasons[-1]}],
        "usage": usages[-1] if usages else {},
    }


def fold_openai_responses_stream(events: Events) -> dict[str, Any]:
    """The final response with the items of the `done` events, whose encrypted content is valid."""
    final: dict[str, Any] = events[-1][1]["response"]
    done = {
        data["output_index"]: data["item"]
        for _, data in events
        if data["type"] == "response.output_item.done"
    }
    return {
        **final,
        "output": [done.get(index, item) for index, item in enumerate(final["output"])],
    }


def fold_anthropic_stream(events: Events) -> dict[str, Any]:
    body: dict[str, Any] = {}
    blocks: list[dict[str, Any]] = []
    for _, data in events:
        if data["type"] == "message_start":
            body = data["message"]
        elif data["type"] == "content_block_start":
            blocks.append({**data["content_block"], "json": ""})
        elif data["type"] == "content_block_delta":
            _add_anthropic_delta(blocks[data["index"]], data["delta"])
        elif data["type"] == "message_delta":
            body |= {**data["delta"], "usage": {**body["usage"], **data["usage"]}}
    for block in blocks:
        text = block.pop("json")
        if text:
            block["input"] = json.loads(text)
    return {**body, "content": blocks}


def _add_anthropic_delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        block["json"] += delta["partial_json"]
    elif delta["type"] == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    else:
        name = next(name for name in delta if name != "type")
        block[name] = (block.get(name) or "") + delta[name]


def fold_gemini_stream(events: Events) -> dict[str, Any]:
    """One candidate with the parts of all events, and what the last event with it says."""
    parts, candidate, body = [], {}, {}
    for _, data in events:
        body |= data
        for piece in data.get("candidates") or ():
            parts += (piece.get("content") or {}).get("parts") or ()
            candidate |= piece
    return {**body, "candidates": [{**candidate, "content": {"parts": parts}}]}


def fold_bedrock_stream(events: Events) -> dict[str, Any]:
    blocks: dict[int, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    for event_type, data in events:
        block = blocks.setdefault(data.get("contentBlockIndex", -1), {})
        if event_type == "contentBlockStart":
            block["toolUse"] = {**data["start"]["toolUse"], "input": ""}
        elif event_type == "contentBlockDelta":
            _add_bedrock_delta(block, data["delta"])
        elif event_type == "messageStop":
            body["stopReason"] = data["stopReason"]
        elif event_type == "metadata":
            body["usage"] = data["usage"]
    content = [blocks[index] for index in sorted(blocks) if index >= 0]
    for use in [block["toolUse"] for block in content if "toolUse" in block]:
        use["input"] = json.loads(use["input"] or "{}")
    return {**body, "output": {"message": {"content": content}}}


def _add_bedrock_delta(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "reasoningContent" in delta:
        reasoning = block.setdefault("reasoningContent", {"reasoningText": {}})["reasoningText"]
        for name, piece in delta["reasoningContent"].items():
            reasoning[name] = reasoning.get(name, "") + piece


FOLDERS = {
    "openai": fold_openai_stream,
    "openai_responses": fold_openai_responses_stream,
    "anthropic": fold_anthropic_stream,
    "gemini": fold_gemini_stream,
    "bedrock": fold_bedrock_stream,
}


def fold_events(wire: str, events: list[Event]) -> dict[str, Any]:
    """The complete reply that these events of a wire mean."""
    pairs = [(event.type, event.data) for event in events if event.data.strip() != "[DONE]"]
    return FOLDERS[wire]([(event_type, json.loads(data)) for event_type, data in pairs])
