"""Bodies that providers accepted, read back as unified requests: the opposite of what the `openai`
dialects do.

Each knows its wire's shapes and nothing of the dialects. What has no unified field becomes
`provider_options`, as a client would send it.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from native_api.types import ChatRequest

FIELDS = frozenset(ChatRequest.__annotations__)
WIRE = "openai_responses"

OWNED = frozenset({"usage", "background"})
"""What the gateway owns: callers of a site cannot set it."""


# --- Chat Completions -----------------------------------------------------------------------------


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
    told = {
        name: value for name, value in message.items() if value is not None and name != "prefix"
    }
    if "reasoning" in told:
        told["reasoning_content"] = told.pop("reasoning")
    if isinstance(told.get("content"), list):
        told["content"] = [read_chat_part(part) for part in told["content"]] or None
    for call in told.get("tool_calls", ()):
        call.pop("index", None)
    return told


def read_chat_part(part: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in part.items() if value is not None}
    if told.pop("prompt_cache_breakpoint", None):
        told["cache_control"] = {"type": "ephemeral"}
    if told["type"] == "document_url":
        return {"type": "file", "file": {"file_data": told["document_url"]}}
    if told["type"] == "file" and told["file"].get("file_data", "").startswith("http"):
        told["file"]["file_url"] = told["file"].pop("file_data")
    return told


# --- Responses ------------------------------------------------------------------------------------


def read_responses_request(body: dict[str, Any], provider: str) -> dict[str, Any]:
    chat: dict[str, Any] = {"model": "x"}
    options: dict[str, Any] = {}
    for name, value in deepcopy(body).items():
        if name == "input":
            chat["messages"] = InputReader(value).messages
        elif name == "tools":
            chat[name] = [_nested(tool) for tool in value if _is_plain(tool)]
            options[name] = [tool for tool in value if not _is_plain(tool)]
        elif name == "tool_choice":
            chat[name] = _choice(value)
        elif name == "text":
            chat |= _format(value)
        elif name == "reasoning":
            chat["reasoning_effort"] = value.pop("effort", None)
            options[name] = value
        elif name in FIELDS:
            chat[name] = value
        elif name not in ("model", *OWNED):
            options[name] = value
    kept = {name: value for name, value in options.items() if value}
    return {
        **{name: value for name, value in chat.items() if value is not None},
        "provider_options": {provider: kept},
    }


def _is_plain(tool: dict[str, Any]) -> bool:
    return bool(tool["type"] == "function" and not tool.get("defer_loading"))


def _nested(tool: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            name: value for name, value in tool.items() if name != "type" and value is not None
        },
    }


def _choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice
    if choice["type"] == "function":
        return {"type": "function", "function": {"name": choice["name"]}}
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": choice["mode"], "tools": choice["tools"]},
    }


def _format(text: dict[str, Any]) -> dict[str, Any]:
    wanted = text.get("format", {"type": "text"})
    if wanted["type"] == "json_schema":
        wanted = {
            "type": "json_schema",
            "json_schema": {name: value for name, value in wanted.items() if name != "type"},
        }
    return {"response_format": wanted, "verbosity": text.get("verbosity")}


class InputReader:
    """The items of an `input` as messages: what the model said in one go is one message."""

    def __init__(self, items: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._turn: dict[str, Any] | None = None
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            self._add(item)

    def _add(self, item: dict[str, Any]) -> None:
        kind = item.get("type", "message")
        if kind == "function_call_output":
            self._next(
                {
                    "role": "tool",
                    "tool_call_id": item["call_id"],
                    "content": _content(item["output"]),
                }
            )
        elif kind == "message" and item["role"] != "assistant":
            self._next({"role": item["role"], "content": _content(item["content"])})
        else:
            self._said(kind, item)

    def _next(self, message: dict[str, Any]) -> None:
        self._turn = None
        self.messages.append(message)

    def _said(self, kind: str, item: dict[str, Any]) -> None:
        if self._turn is None:
            self._turn = {"role": "assistant", "content": ""}
            self.messages.append(self._turn)
        if kind == "message":
            self._block(
                {"type": "message", **({"phase": item["phase"]} if "phase" in item else {})}
            )
            content = item["content"]
            self._turn["content"] += (
                content if isinstance(content, str) else "".join(part["text"] for part in content)
            )
        elif kind == "function_call":
            self._call(item)
        elif kind == "reasoning":
            self._reasoning(item)
        else:
            self._block(item)

    def _here(self) -> dict[str, Any]:
        assert self._turn is not None
        return {"at": len(self._turn["content"]), "calls": len(self._turn.get("tool_calls", ()))}

    def _block(self, block: dict[str, Any]) -> None:
        assert self._turn is not None
        blocks = self._turn.setdefault("provider_content", [])
        reasoning = len(self._turn.get("reasoning_details", ()))
        blocks.append(
            {
                "format": WIRE,
                "index": len(blocks),
                "block": block,
                "reasoning": reasoning,
                **self._here(),
            }
        )

    def _call(self, item: dict[str, Any]) -> None:
        assert self._turn is not None
        call = {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        if "namespace" in item:
            call["extra_content"] = {WIRE: {"namespace": item["namespace"]}}
        self._turn.setdefault("tool_calls", []).append(call)

    def _reasoning(self, item: dict[str, Any]) -> None:
        assert self._turn is not None
        told = [{"type": "reasoning.summary", "summary": part["text"]} for part in item["summary"]]
        told.append({"type": "reasoning.encrypted", "data": item["encrypted_content"]})
        details = self._turn.setdefault("reasoning_details", [])
        for detail in told:
            details.append(
                {**detail, "format": WIRE, "index": len(details), "id": item["id"], **self._here()}
            )


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    told = {
        name: value
        for name, value in part.items()
        if name not in ("type", "prompt_cache_breakpoint")
    }
    if part["type"] == "input_text":
        unified: dict[str, Any] = {"type": "text", **told}
    elif part["type"] == "input_image" and "image_url" in part:
        unified = {
            "type": "image_url",
            "image_url": {"url": part["image_url"], "detail": part["detail"]},
        }
    elif part["type"] == "input_image":
        unified = {"type": "file", "file": {"file_id": part["file_id"], "filename": "picture.png"}}
    else:
        unified = {"type": "file", "file": told}
    return (
        {**unified, "cache_control": {"type": "ephemeral"}}
        if "prompt_cache_breakpoint" in part
        else unified
    )


# --- what two bodies have in common ---------------------------------------------------------------


def normalize_body(body: dict[str, Any]) -> Any:
    """A body without what means the same: defaults, nulls, ids of items that are sent whole, lists
    of texts."""
    told = {
        name: value
        for name, value in deepcopy(body).items()
        if name not in ("stream", "stream_options", "store", "include", *OWNED)
    }
    if "max_tokens" in told:
        told["max_completion_tokens"] = told.pop("max_tokens")
    if told.get("tool_choice") == "any":
        told["tool_choice"] = "required"
    if "tools" in told:
        told["tools"] = sorted(
            ({"type": "function", **tool} for tool in told["tools"]), key=_sorted
        )
    if isinstance(told.get("input"), str):
        told["input"] = [{"role": "user", "content": told["input"]}]
    told["reasoning"] = {
        name: value
        for name, value in (told.get("reasoning") or {}).items()
        if name not in ("summary", "generate_summary")
    }
    told["text"] = {
        name: value for name, value in told.get("text", {}).items() if value != {"type": "text"}
    }
    return _plain(
        {
            name: value
            for name, value in told.items()
            if (name, value) not in (("n", 1), ("top_p", 1.0))
        }
    )


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        items = [_plain(item) for item in value]
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
    told = {name: _plain(item) for name, item in value.items() if name not in dropped}
    if told.get("type") == "message":
        del told["type"]
    return {name: item for name, item in told.items() if item not in (None, "", [], {})}
