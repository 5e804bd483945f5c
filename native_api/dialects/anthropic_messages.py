"""Unified messages -> Anthropic's `system` and `messages`.

Rules that Anthropic answers 400 for: turns alternate; tool results are the first blocks of the turn right after their
calls; no empty text; thinking comes first in an assistant's turn, with the signature it was given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.content import arguments_of, calls_of, data_url, decoded, file_data, own_blocks, own_details, parts_of
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Message

WIRE: Final = "anthropic"
IN_THE_USERS_TURN: Final = frozenset({"user", "tool", "function"})


def conversation(messages: Sequence[Message]) -> tuple[list[Json], list[Json]]:
    """The `system` blocks and the turns."""
    system: list[Json] = []
    turns: list[Json] = []
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        if message["role"] in ("system", "developer"):
            system += [_text(part) for part in parts_of(message)]
        elif message["role"] in IN_THE_USERS_TURN:
            _add(turns, "user", _users(message, place))
        else:
            _add(turns, "assistant", _assistants(message))
    return system, [_results_first(turn) for turn in turns if turn["content"]]


def _add(turns: list[Json], role: str, blocks: list[Json]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _results_first(turn: Json) -> Json:
    """A stable sort: only tool results move, to the front of their turn."""
    if turn["role"] == "user":
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    return turn


def _users(message: Mapping[str, Any], place: str) -> list[Json]:
    if message["role"] == "user":
        return [_block(part, f"{place}.content[{index}]") for index, part in enumerate(parts_of(message))]
    content = [_block(part, f"{place}.content[{index}]") for index, part in enumerate(parts_of(message))]
    result: Json = {"type": "tool_result", "tool_use_id": message.get("tool_call_id") or message.get("name")}
    marker = next((block.pop("cache_control") for block in reversed(content) if "cache_control" in block), None)
    if content:
        result["content"] = content
    if message.get("is_error"):
        result["is_error"] = True
    if marker:
        result["cache_control"] = marker
    return [result]


def _assistants(message: Mapping[str, Any]) -> list[Json]:
    blocks = [block for item in own_details(message, WIRE) if (block := _thinking(item))]
    blocks += own_blocks(message, WIRE)
    for part in parts_of(message):
        blocks.append(_text(part) if part["type"] == "text" else {"type": "text", "text": part["refusal"]})
    if message.get("refusal"):
        blocks.append({"type": "text", "text": message["refusal"]})
    return blocks + [_call(call) for call in calls_of(message)]


def _thinking(item: Mapping[str, Any]) -> Json | None:
    if item["type"] == "reasoning.encrypted":
        return {"type": "redacted_thinking", "data": item["data"]}
    if item["type"] == "reasoning.text" and item.get("signature"):
        return {"type": "thinking", "thinking": item.get("text") or "", "signature": item["signature"]}
    return None


def _call(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {"name": call["custom"]["name"], "arguments": call["custom"]["input"]}
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments_of(function["arguments"])}


def _text(part: Mapping[str, Any]) -> Json:
    return _marked({"type": "text", "text": part["text"]}, part)


def _marked(block: Json, part: Mapping[str, Any]) -> Json:
    if part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _block(part: Mapping[str, Any], place: str) -> Json:
    kind = part["type"]
    if kind == "text":
        return _text(part)
    if kind == "image_url":
        return _marked({"type": "image", "source": _source(part["image_url"]["url"])}, part)
    if kind == "file":
        return _marked(_document(part["file"], place), part)
    raise UnsupportedField(f"{place}.{kind}", "Anthropic takes text, images and documents")


def _source(url: str) -> Json:
    inline = data_url(url)
    if inline is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": inline.media_type, "data": inline.data}


def _document(file: Mapping[str, Any], place: str) -> Json:
    inline = file_data(file, f"{place}.file.file_data")
    if inline is None:
        source = {"type": "file", "file_id": file["file_id"]} if file.get("file_id") else {"type": "url", "url": file["file_url"]}
    elif inline.media_type.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": inline.media_type, "data": inline.data}}
    elif inline.media_type == "application/pdf" or inline.media_type.startswith("text/"):
        source = {"type": "base64", "media_type": inline.media_type, "data": inline.data}
        if inline.media_type.startswith("text/"):
            source = {"type": "text", "media_type": "text/plain", "data": decoded(inline.data, f"{place}.file.file_data")}
    else:
        raise UnsupportedField(f"{place}.file", f"Anthropic takes PDF and text, not {inline.media_type}")
    document: Json = {"type": "document", "source": source}
    if file.get("filename"):
        document["title"] = file["filename"]
    return document
