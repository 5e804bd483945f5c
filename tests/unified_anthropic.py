"""Anthropic's request bodies as the unified requests that clients send for them, and what makes no
difference between bodies.

Knows the wire's shapes and the documented unified ones, nothing of how the dialect gets from one to
the other.
"""

from __future__ import annotations

import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Target

FIELDS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "stream": "stream",
}
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
TRANSLATED = {*FIELDS, "model", "messages", "system", "tools", "tool_choice"}


def build_chat(body: dict[str, Any], target: Target, by_hand: bool) -> dict[str, Any]:
    """The unified request. `by_hand`: the client wrote the assistant's turns itself, else it got
    them as replies."""
    chat: dict[str, Any] = {
        "model": "m",
        **{ours: body[theirs] for theirs, ours in FIELDS.items() if theirs in body},
    }
    chat["messages"] = (
        [{"role": "system", "content": parts(body["system"])}] if body.get("system") else []
    )
    for turn in body["messages"]:
        if turn["role"] == "assistant":
            chat["messages"].append(
                written(turn["content"]) if by_hand else received(turn["content"], target)
            )
        else:
            chat["messages"] += told(turn["role"], turn["content"])
    options = {name: value for name, value in body.items() if name not in TRANSLATED}
    structure(options, chat)
    tools(body, chat, options)
    if options:
        chat["provider_options"] = {"anthropic": options}
    return chat


def structure(options: dict[str, Any], chat: dict[str, Any]) -> None:
    config = dict(options.pop("output_config", {}))
    if "format" in config:
        schema = config.pop("format")["schema"]
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
    if config:
        options["output_config"] = config


def tools(body: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    added = []
    for tool in body.get("tools") or ():
        if tool.get("type", "custom") != "custom":
            added.append(tool)
            continue
        function = {
            "name": tool["name"],
            "parameters": tool["input_schema"],
            "description": tool.get("description", ""),
        }
        entry = {
            "type": "function",
            "function": {**function, **({"strict": True} if tool.get("strict") else {})},
        }
        chat.setdefault("tools", []).append({**entry, **marked(tool)})
        more = {
            name: value
            for name, value in tool.items()
            if name in ("defer_loading", "allowed_callers", "input_examples")
        }
        if more:
            added.append({"name": tool["name"], **more})
    if added:
        options["tools"] = added
    choice = body.get("tool_choice")
    if choice and not chat.get("tools"):
        options["tool_choice"] = choice
    elif choice:
        named = {"type": "function", "function": {"name": choice.get("name")}}
        chat["tool_choice"] = named if choice["type"] == "tool" else CHOICES[choice["type"]]
        if "disable_parallel_tool_use" in choice:
            chat["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]


def marked(block: dict[str, Any]) -> dict[str, Any]:
    return {"cache_control": block["cache_control"]} if block.get("cache_control") else {}


def blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def parts(content: Any) -> list[dict[str, Any]]:
    return [part(block) for block in blocks(content)]


def part(block: dict[str, Any]) -> Any:
    """A unified content part, None where there is none for the block."""
    source = block.get("source") or {}
    if block["type"] == "text":
        return {"type": "text", "text": block["text"], **marked(block)}
    if block["type"] == "image" and source["type"] == "file":
        return {
            "type": "file",
            "file": {"file_id": source["file_id"], "filename": "image.png"},
            **marked(block),
        }
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": address(source)}, **marked(block)}
    if block["type"] == "document" and source["type"] in ("base64", "url", "file"):
        field = {"base64": "file_data", "url": "file_url", "file": "file_id"}[source["type"]]
        name = {"filename": block["title"]} if block.get("title") else {}
        value = source["file_id"] if field == "file_id" else address(source)
        return {"type": "file", "file": {field: value, **name}, **marked(block)}
    return None


def address(source: dict[str, Any]) -> str:
    return (
        source["url"]
        if source["type"] == "url"
        else f"data:{source['media_type']};base64,{source['data']}"
    )


def told(role: str, content: Any) -> list[dict[str, Any]]:
    """Messages of a user, of tools, or of the operator in the middle: one for each run of blocks of
    a kind."""
    messages: list[dict[str, Any]] = []
    for block in blocks(content):
        if block["type"] == "tool_result":
            messages.append(result(block))
        elif part(block) is None:
            messages.append(
                {
                    "role": role,
                    "content": "",
                    "provider_content": [{"format": "anthropic", "block": block}],
                }
            )
        elif (
            messages and messages[-1]["role"] == role and isinstance(messages[-1]["content"], list)
        ):
            messages[-1]["content"].append(part(block))
        else:
            messages.append({"role": role, "content": [part(block)]})
    return messages


def result(block: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": ""}
    inner = blocks(block.get("content"))
    content = [part(item) for item in inner if part(item)]
    if content:
        content[-1] |= marked(block)
        message["content"] = content
    own = [{"format": "anthropic", "block": item} for item in inner if part(item) is None]
    return {
        **message,
        **({"provider_content": own} if own else {}),
        **({"is_error": True} if block.get("is_error") else {}),
    }


def received(content: Any, target: Target) -> dict[str, Any]:
    """The message that a client got for a reply with this content."""
    body = {
        "id": "msg_1",
        "content": json.loads(json.dumps(blocks(content))),
        "stop_reason": "end_turn",
    }
    message: dict[str, Any] = DIALECTS["anthropic"].response(body, target)["choices"][0]["message"]
    return message


def written(content: Any) -> dict[str, Any]:
    """The message of a client that knows the documented fields and none of the numbers in them."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for block in blocks(content):
        if block["type"] == "text":
            message["content"] = [
                *(message["content"] or ()),
                {"type": "text", "text": block["text"], **marked(block)},
            ]
        elif block["type"] == "tool_use":
            function = {"name": block["name"], "arguments": json.dumps(block["input"])}
            message.setdefault("tool_calls", []).append(
                {"id": block["id"], "type": "function", "function": function}
            )
        elif block["type"] == "thinking":
            item = {
                "type": "reasoning.text",
                "text": block["thinking"],
                "signature": block["signature"],
            }
            message.setdefault("reasoning_details", []).append({**item, "format": "anthropic"})
        elif block["type"] == "redacted_thinking":
            item = {"type": "reasoning.encrypted", "data": block["data"]}
            message.setdefault("reasoning_details", []).append({**item, "format": "anthropic"})
        else:
            message.setdefault("provider_content", []).append(
                {"format": "anthropic", "block": block}
            )
    return message


def is_plain(body: dict[str, Any]) -> bool:
    """Whether every assistant's turn is in the order that messages written by hand are sent in."""
    order = {"thinking": 0, "redacted_thinking": 0, "text": 2, "tool_use": 3}
    kinds = [
        [order.get(block["type"], 1) for block in blocks(turn["content"])]
        for turn in body["messages"]
        if turn["role"] == "assistant"
    ]
    return all(ranks == sorted(ranks) for ranks in kinds)


# --- what a provider said, and what it gets back --------------------------------------------------


def read_reply(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a reply, those of a stream put together as the reference tells."""
    found = recording["body"]["content"] if "body" in recording else streamed(recording["raw"])
    return [normal_block(block) for block in found if block.get("text") != ""]


def streamed(raw: str) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for line in raw.splitlines():
        event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if event.get("type") == "content_block_start":
            found[event["index"]] = dict(event["content_block"])
        elif event.get("type") == "content_block_delta":
            grow(found[event["index"]], event["delta"])
    for block in found.values():
        if "_json" in block:
            block["input"] = json.loads(block.pop("_json") or "{}")
    return list(found.values())


def grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "citation":
            block["citations"] = [*(block.get("citations") or ()), value]
        elif name == "partial_json":
            block["_json"] = block.get("_json", "") + value
        elif name != "type":
            block[name] = (block.get(name) or "") + value


def turns_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [turn for turn in body["messages"] if turn["role"] == "assistant"]


def read_last_turn(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [normal_block(block) for block in body["messages"][-1]["content"]]


# --- what makes no difference ---------------------------------------------------------------------


def normalize(body: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in body.items() if value not in (None, False)}
    if "system" in told:
        told["system"] = blocks(told["system"])
    told["messages"] = normal_turns(body["messages"])
    if "tools" in told:
        told["tools"] = sorted(
            (normal_tool(tool) for tool in told["tools"]), key=lambda tool: str(tool["name"])
        )
    if told.get("tool_choice") == {"type": "auto"}:
        del told["tool_choice"]
    return told


def normal_turns(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Consecutive turns of a role are one:
    https://platform.claude.com/docs/en/api/messages#messages."""
    told: list[dict[str, Any]] = []
    for turn in turns:
        content = [normal_block(block) for block in blocks(turn["content"])]
        if told and told[-1]["role"] == turn["role"]:
            told[-1]["content"] += content
        else:
            told.append({"role": turn["role"], "content": content})
    return told


def normal_block(block: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in block.items() if value not in (None, False)}
    if block["type"] == "tool_result":
        told["content"] = [
            normal_block(inner) for inner in blocks(block.get("content")) if inner.get("text") != ""
        ]
    return told


def normal_tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if value not in (None, False, "")}
