"""Reads bodies that providers accepted as unified requests, which is what the `openai` dialects do
in reverse.

Each reader knows its wire, but uses nothing of the dialects. Members without a unified field become
`provider_options`, as a client would send them.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from native_api.types import ChatRequest

FIELDS = frozenset(ChatRequest.__annotations__)
WIRE = "openai_responses"

OWNED = frozenset({"usage", "background"})
"""Members that the gateway owns: callers cannot set them."""


# --- Chat Completions ----------------------------------------------------------------------------


def read_chat_request(body: dict[str, Any], provider: str) -> dict[str, Any]:
    chat: dict[str, Any] = {"model": "x"}
    options: dict[str, Any] = {}
    for name, value in deepcopy(body).items():
        if name == "random_seed":
            chat["seed"] = value
        elif name == "tool_choice" and value == "any":
            chat[name] = "required"
        elif name == "messages":
            chat[name] = [
                read_chat_message(message)
                for message in value
                if message.get("content") != [{"text": "OK", "type": "text"}]
            ]
        elif name in FIELDS and value != "default" and not _is_foreign(name, value):
            chat[name] = value
        elif name not in ("model", *OWNED):
            options[name] = value
    for tool in chat.get("tools", ()):
        tool["type"] = "function"
        tool.pop("eager_input_streaming", None)
    return {**chat, "provider_options": {provider: options}}


def _is_foreign(name: str, value: Any) -> bool:
    return name == "tools" and any(tool.get("type", "function") != "function" for tool in value)


def read_chat_message(message: dict[str, Any]) -> dict[str, Any]:
    built = {
        name: value for name, value in message.items() if value is not None and name != "prefix"
    }
    if "reasoning" in built:
        built["reasoning_content"] = built.pop("reasoning")
    if isinstance(built.get("content"), list):
        built["content"] = [read_chat_part(part) for part in built["content"]] or None
    for call in built.get("tool_calls", ()):
        call.pop("index", None)
    return built


def read_chat_part(part: dict[str, Any]) -> dict[str, Any]:
    built = {name: value for name, value in part.items() if value is not None}
    if built.pop("prompt_cache_breakpoint", None):
        built["cache_control"] = {"type": "ephemeral"}
    if built["type"] == "document_url":
        return {"type": "file", "file": {"file_data": built["document_url"]}}
    if built["type"] == "file" and built["file"].get("file_data", "").startswith("http"):
        built["file"]["file_url"] = built["file"].pop("file_data")
    return built


# --- Responses -----------------------------------------------------------------------------------


def read_responses_request(body: dict[str, Any], provider: str) -> dict[str, Any]:
    chat: dict[str, Any] = {"model": "x"}
    options: dict[str, Any] = {}
    for name, value in deepcopy(body).items():
        if name == "input":
            chat["messages"] = InputReader(value).messages
        elif name == "tools":
            chat[name] = [_nest_tool(tool) for tool in value if _is_plain(tool)]
            options[name] = [tool for tool in value if not _is_plain(tool)]
        elif name == "tool_choice":
            chat[name] = _read_tool_choice(value)
        elif name == "text":
            chat |= _read_text_options(value)
        elif name == "reasoning":
            chat["reasoning_effort"] = value.pop("effort", None)
            options[name] = value
        elif name in FIELDS:
            chat[name] = value
        elif name not in ("model", *OWNED):
            options[name] = value
    set_options = {name: value for name, value in options.items() if value}
    return {
        **{name: value for name, value in chat.items() if value is not None},
        "provider_options": {provider: set_options},
    }


def _is_plain(tool: dict[str, Any]) -> bool:
    return bool(tool["type"] == "function" and not tool.get("defer_loading"))


def _nest_tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            name: value for name, value in tool.items() if name != "type" and value is not None
        },
    }


def _read_tool_choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice
    if choice["type"] == "function":
        return {"type": "function", "function": {"name": choice["name"]}}
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": choice["mode"], "tools": choice["tools"]},
    }


def _read_text_options(text: dict[str, Any]) -> dict[str, Any]:
    response_format = text.get("format", {"type": "text"})
    if response_format["type"] == "json_schema":
        response_format = {
            "type": "json_schema",
            "json_schema": {
                name: value for name, value in response_format.items() if name != "type"
            },
        }
    return {"response_format": response_format, "verbosity": text.get("verbosity")}


class InputReader:
    """Reads the items of an `input` as messages; the items of one turn are one message."""

    def __init__(self, items: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._turn: dict[str, Any] | None = None
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            self._add_item(item)

    def _add_item(self, item: dict[str, Any]) -> None:
        kind = item.get("type", "message")
        if kind == "function_call_output":
            self._add_message(
                {
                    "role": "tool",
                    "tool_call_id": item["call_id"],
                    "content": _read_content(item["output"]),
                }
            )
        elif kind == "message" and item["role"] != "assistant":
            self._add_message({"role": item["role"], "content": _read_content(item["content"])})
        else:
            self._add_to_turn(kind, item)

    def _add_message(self, message: dict[str, Any]) -> None:
        self._turn = None
        self.messages.append(message)

    def _add_to_turn(self, kind: str, item: dict[str, Any]) -> None:
        if self._turn is None:
            self._turn = {"role": "assistant", "content": ""}
            self.messages.append(self._turn)
        if kind == "message":
            self._add_block(
                {"type": "message", **({"phase": item["phase"]} if "phase" in item else {})}
            )
            content = item["content"]
            self._turn["content"] += (
                content if isinstance(content, str) else "".join(part["text"] for part in content)
            )
        elif kind == "function_call":
            self._add_call(item)
        elif kind == "reasoning":
            self._add_reasoning(item)
        else:
            self._add_block(item)

    def _read_offsets(self) -> dict[str, Any]:
        assert self._turn is not None
        return {"at": len(self._turn["content"]), "calls": len(self._turn.get("tool_calls", ()))}

    def _add_block(self, block: dict[str, Any]) -> None:
        assert self._turn is not None
        blocks = self._turn.setdefault("provider_content", [])
        reasoning = len(self._turn.get("reasoning_details", ()))
        blocks.append(
            {
                "format": WIRE,
                "index": len(blocks),
                "block": block,
                "reasoning": reasoning,
                **self._read_offsets(),
            }
        )

    def _add_call(self, item: dict[str, Any]) -> None:
        assert self._turn is not None
        call = {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        if "namespace" in item:
            call["extra_content"] = {WIRE: {"namespace": item["namespace"]}}
        self._turn.setdefault("tool_calls", []).append(call)

    def _add_reasoning(self, item: dict[str, Any]) -> None:
        assert self._turn is not None
        built = [{"type": "reasoning.summary", "summary": part["text"]} for part in item["summary"]]
        built.append({"type": "reasoning.encrypted", "data": item["encrypted_content"]})
        details = self._turn.setdefault("reasoning_details", [])
        for detail in built:
            details.append(
                {
                    **detail,
                    "format": WIRE,
                    "index": len(details),
                    "id": item["id"],
                    **self._read_offsets(),
                }
            )


def _read_content(content: Any) -> Any:
    return content if isinstance(content, str) else [_read_part(part) for part in content]


def _read_part(part: dict[str, Any]) -> dict[str, Any]:
    built = {
        name: value
        for name, value in part.items()
        if name not in ("type", "prompt_cache_breakpoint")
    }
    if part["type"] == "input_text":
        unified: dict[str, Any] = {"type": "text", **built}
    elif part["type"] == "input_image" and "image_url" in part:
        unified = {
            "type": "image_url",
            "image_url": {"url": part["image_url"], "detail": part["detail"]},
        }
    elif part["type"] == "input_image":
        unified = {"type": "file", "file": {"file_id": part["file_id"], "filename": "picture.png"}}
    else:
        unified = {"type": "file", "file": built}
    return (
        {**unified, "cache_control": {"type": "ephemeral"}}
        if "prompt_cache_breakpoint" in part
        else unified
    )


# --- comparing bodies ----------------------------------------------------------------------------


def normalize_body(body: dict[str, Any]) -> Any:
    """A body without differences that do not matter.

    They are defaults, nulls, ids of items that are sent whole, and lists of texts.
    """
    built = {
        name: value
        for name, value in deepcopy(body).items()
        if name not in ("stream", "stream_options", "store", "include", *OWNED)
    }
    if "max_tokens" in built:
        built["max_completion_tokens"] = built.pop("max_tokens")
    if built.get("tool_choice") == "any":
        built["tool_choice"] = "required"
    if "tools" in built:
        built["tools"] = sorted(
            ({"type": "function", **tool} for tool in built["tools"]), key=_sort_key
        )
    if isinstance(built.get("input"), str):
        built["input"] = [{"role": "user", "content": built["input"]}]
    built["reasoning"] = {
        name: value
        for name, value in (built.get("reasoning") or {}).items()
        if name not in ("summary", "generate_summary")
    }
    built["text"] = {
        name: value for name, value in built.get("text", {}).items() if value != {"type": "text"}
    }
    return _drop_defaults(
        {
            name: value
            for name, value in built.items()
            if (name, value) not in (("n", 1), ("top_p", 1.0))
        }
    )


def _sort_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _drop_defaults(value: Any) -> Any:
    if isinstance(value, list):
        items = [_drop_defaults(item) for item in value]
        if items and all(
            isinstance(item, dict) and item.keys() == {"type", "text"} for item in items
        ):
            return "\n".join(item["text"] for item in items)
        return [item for item in items if item != {"role": "assistant"}]
    if not isinstance(value, dict):
        return value
    dropped = {"index", "prefix", "eager_input_streaming", "status"}
    if value.get("type") in ("message", "function_call"):
        dropped |= {"id"}
    built = {name: _drop_defaults(item) for name, item in value.items() if name not in dropped}
    if built.get("type") == "message":
        del built["type"]
    return {name: item for name, item in built.items() if item not in (None, "", [], {})}
