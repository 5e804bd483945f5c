"""Anthropic's request bodies as the unified requests that clients would send for them, and the
differences between bodies that do not matter.

Knows Anthropic's shapes and the documented unified ones, but not how the dialect translates them.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Target

RENAMED_FIELDS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "stream": "stream",
}
"""Anthropic's field -> the unified field with the same value."""

TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
"""Type of `tool_choice` -> unified `tool_choice`."""

UNIFIED_FIELDS = {*RENAMED_FIELDS, "model", "messages", "system", "tools", "tool_choice"}
"""The fields that have a unified form. All others become `provider_options`."""


def build_chat(body: dict[str, Any], target: Target, by_hand: bool) -> dict[str, Any]:
    """The unified request. `by_hand`: the client wrote the assistant's turns itself; otherwise it
    received them as replies."""
    chat: dict[str, Any] = {
        "model": "m",
        **{ours: body[theirs] for theirs, ours in RENAMED_FIELDS.items() if theirs in body},
    }
    chat["messages"] = (
        [{"role": "system", "content": build_parts(body["system"])}] if body.get("system") else []
    )
    for turn in body["messages"]:
        if turn["role"] != "assistant":
            chat["messages"] += build_messages(turn["role"], turn["content"])
        elif by_hand:
            chat["messages"].append(write_message(turn["content"]))
        else:
            chat["messages"].append(receive_message(turn["content"], target))
    options = {name: value for name, value in body.items() if name not in UNIFIED_FIELDS}
    add_response_format(options, chat)
    add_tools(body, chat, options)
    if options:
        chat["provider_options"] = {"anthropic": options}
    return chat


def add_response_format(options: dict[str, Any], chat: dict[str, Any]) -> None:
    config = dict(options.pop("output_config", {}))
    if "format" in config:
        schema = config.pop("format")["schema"]
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
    if config:
        options["output_config"] = config


# --- tools ---------------------------------------------------------------------------------------


def add_tools(body: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    """Functions become `tools`. Anthropic's own tools, and the members of a function that have no
    unified name, become `provider_options`."""
    tool_options = []
    for tool in body.get("tools") or ():
        if tool.get("type", "custom") != "custom":
            tool_options.append(tool)
            continue
        chat.setdefault("tools", []).append(build_tool(tool))
        native_members = {
            name: value
            for name, value in tool.items()
            if name in ("defer_loading", "allowed_callers", "input_examples")
        }
        if native_members:
            tool_options.append({"name": tool["name"], **native_members})
    if tool_options:
        options["tools"] = tool_options
    add_tool_choice(body.get("tool_choice"), chat, options)


def build_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = {
        "name": tool["name"],
        "parameters": tool["input_schema"],
        "description": tool.get("description", ""),
    }
    if tool.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function, **cache_control_of(tool)}


def add_tool_choice(choice: Any, chat: dict[str, Any], options: dict[str, Any]) -> None:
    if choice and not chat.get("tools"):
        options["tool_choice"] = choice
    elif choice:
        function_choice = {"type": "function", "function": {"name": choice.get("name")}}
        chat["tool_choice"] = (
            function_choice if choice["type"] == "tool" else TOOL_CHOICES[choice["type"]]
        )
        if "disable_parallel_tool_use" in choice:
            chat["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]


# --- messages of users and tools -----------------------------------------------------------------


def cache_control_of(block: dict[str, Any]) -> dict[str, Any]:
    return {"cache_control": block["cache_control"]} if block.get("cache_control") else {}


def list_blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def build_parts(content: Any) -> list[dict[str, Any]]:
    return [build_part(block) for block in list_blocks(content)]


def build_part(block: dict[str, Any]) -> Any:
    """The unified content part of a block; None if there is none."""
    source = block.get("source") or {}
    cache_control = cache_control_of(block)
    if block["type"] == "text":
        return {"type": "text", "text": block["text"], **cache_control}
    if block["type"] == "image" and source["type"] == "file":
        file = {"file_id": source["file_id"], "filename": "image.png"}
        return {"type": "file", "file": file, **cache_control}
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": build_url(source)}, **cache_control}
    if block["type"] == "document" and source["type"] in ("base64", "url", "file"):
        field = {"base64": "file_data", "url": "file_url", "file": "file_id"}[source["type"]]
        name = {"filename": block["title"]} if block.get("title") else {}
        value = source["file_id"] if field == "file_id" else build_url(source)
        return {"type": "file", "file": {field: value, **name}, **cache_control}
    return None


def build_url(source: dict[str, Any]) -> str:
    if source["type"] == "url":
        return str(source["url"])
    return f"data:{source['media_type']};base64,{source['data']}"


def build_messages(role: str, content: Any) -> list[dict[str, Any]]:
    """The messages of a turn of the user, of tools or of the system: one for each tool result, each
    native block, and each run of parts."""
    messages: list[dict[str, Any]] = []
    for block in list_blocks(content):
        part = build_part(block)
        if block["type"] == "tool_result":
            messages.append(build_result(block))
        elif part is None:
            item = {"format": "anthropic", "block": block}
            messages.append({"role": role, "content": "", "provider_content": [item]})
        elif (
            messages and messages[-1]["role"] == role and isinstance(messages[-1]["content"], list)
        ):
            messages[-1]["content"].append(part)
        else:
            messages.append({"role": role, "content": [part]})
    return messages


def build_result(block: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": ""}
    inner_blocks = list_blocks(block.get("content"))
    parts = [part for part in map(build_part, inner_blocks) if part]
    if parts:
        parts[-1] |= cache_control_of(block)
        message["content"] = parts
    native_items = [
        {"format": "anthropic", "block": inner}
        for inner in inner_blocks
        if build_part(inner) is None
    ]
    if native_items:
        message["provider_content"] = native_items
    if block.get("is_error"):
        message["is_error"] = True
    return message


# --- messages of the assistant -------------------------------------------------------------------


def receive_message(content: Any, target: Target) -> dict[str, Any]:
    """The message that a client received for a reply with this content."""
    body = {
        "id": "msg_1",
        "content": json.loads(json.dumps(list_blocks(content))),
        "stop_reason": "end_turn",
    }
    message: dict[str, Any] = DIALECTS["anthropic"].response(body, target)["choices"][0]["message"]
    return message


def write_message(content: Any) -> dict[str, Any]:
    """The message of a client that knows the documented fields, but none of the offsets in them."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for block in list_blocks(content):
        field, item = write_block(block)
        message[field] = [*(message.get(field) or ()), item]
    return message


def write_block(block: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The field of a message that the block belongs to, and its item there."""
    if block["type"] == "text":
        return "content", {"type": "text", "text": block["text"], **cache_control_of(block)}
    if block["type"] == "tool_use":
        function = {"name": block["name"], "arguments": json.dumps(block["input"])}
        return "tool_calls", {"id": block["id"], "type": "function", "function": function}
    if block["type"] == "thinking":
        item = {"text": block["thinking"], "signature": block["signature"], "format": "anthropic"}
        return "reasoning_details", {"type": "reasoning.text", **item}
    if block["type"] == "redacted_thinking":
        item = {"data": block["data"], "format": "anthropic"}
        return "reasoning_details", {"type": "reasoning.encrypted", **item}
    return "provider_content", {"format": "anthropic", "block": block}


def is_plain(body: dict[str, Any]) -> bool:
    """Whether the blocks of every assistant's turn are in the order in which messages written by
    hand are sent."""
    order = {"thinking": 0, "redacted_thinking": 0, "text": 2, "tool_use": 3}
    ranks_of_turns = [
        [order.get(block["type"], 1) for block in list_blocks(turn["content"])]
        for turn in body["messages"]
        if turn["role"] == "assistant"
    ]
    return all(ranks == sorted(ranks) for ranks in ranks_of_turns)


# --- a reply, and what is sent back for it -------------------------------------------------------


def read_reply(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a reply. Those of a stream are assembled as the reference says."""
    blocks = (
        recording["body"]["content"] if "body" in recording else assemble_stream(recording["raw"])
    )
    return [normalize_block(block) for block in blocks if block.get("text") != ""]


def assemble_stream(raw: str) -> list[dict[str, Any]]:
    blocks: dict[int, dict[str, Any]] = {}
    for line in raw.splitlines():
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("type") == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event.get("type") == "content_block_delta":
            add_piece(blocks[event["index"]], event["delta"])
    for block in blocks.values():
        if "_json" in block:
            block["input"] = json.loads(block.pop("_json") or "{}")
    return list(blocks.values())


def add_piece(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "citation":
            block["citations"] = [*(block.get("citations") or ()), value]
        elif name == "partial_json":
            block["_json"] = block.get("_json", "") + value
        elif name != "type":
            block[name] = (block.get(name) or "") + value


def read_last_turn(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [normalize_block(block) for block in body["messages"][-1]["content"]]


# --- differences that do not matter --------------------------------------------------------------


def normalize(body: dict[str, Any]) -> dict[str, Any]:
    normalized = without(body, None, False)
    if "system" in normalized:
        normalized["system"] = list_blocks(normalized["system"])
    normalized["messages"] = normalize_turns(body["messages"])
    if "tools" in normalized:
        tools = [without(tool, None, False, "") for tool in normalized["tools"]]
        normalized["tools"] = sorted(tools, key=lambda tool: str(tool["name"]))
    if normalized.get("tool_choice") == {"type": "auto"}:
        del normalized["tool_choice"]
    return normalized


def normalize_turns(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Consecutive turns of a role are one:
    https://platform.claude.com/docs/en/api/messages#messages."""
    normalized: list[dict[str, Any]] = []
    for turn in turns:
        content = [normalize_block(block) for block in list_blocks(turn["content"])]
        if normalized and normalized[-1]["role"] == turn["role"]:
            normalized[-1]["content"] += content
        else:
            normalized.append({"role": turn["role"], "content": content})
    number_calls(normalized)
    return normalized


def number_calls(turns: list[dict[str, Any]]) -> None:
    """Replace ids of calls by their numbers: an id that comes again in a later turn is another's,
    and not sent."""
    numbers: dict[str, str] = {}
    count = itertools.count()
    for block in [block for turn in turns for block in turn["content"]]:
        if block["type"] == "tool_use":
            numbers[block["id"]] = block["id"] = f"call {next(count)}"
        elif block["type"] == "tool_result":
            block["tool_use_id"] = numbers.get(block["tool_use_id"])


def normalize_block(block: dict[str, Any]) -> dict[str, Any]:
    normalized = without(block, None, False)
    if block["type"] == "tool_result":
        normalized["content"] = [
            normalize_block(inner)
            for inner in list_blocks(block.get("content"))
            if inner.get("text") != ""
        ]
    return normalized


def without(members: dict[str, Any], *values: Any) -> dict[str, Any]:
    """The members that have none of these values."""
    return {name: value for name, value in members.items() if value not in values}
