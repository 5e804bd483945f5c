"""Gemini's request bodies as the unified requests that clients would send for them, and the
differences between bodies that do not matter.

Knows Gemini's shapes and the documented unified ones, but not how the dialect translates them.
Google accepts names in camelCase and snake_case; here they are read as camelCase.
"""

from __future__ import annotations

import json
import re
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Target

CONFIG_FIELDS = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
    "seed": "seed",
}
"""Member of `generationConfig` -> unified field."""

TOOL_CHOICES = {"AUTO": "auto", "NONE": "none"}
"""Mode of `functionCallingConfig` -> unified `tool_choice`."""

CLIENT_NAMED = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseSchema",
    }
)
"""Members whose own member names are the client's."""


def to_camel_case(value: Any) -> Any:
    if isinstance(value, list):
        return [to_camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {
        re.sub(r"_(\w)", lambda match: match[1].upper(), name): item for name, item in value.items()
    }
    return {
        name: item if name in CLIENT_NAMED else to_camel_case(item)
        for name, item in renamed.items()
    }


def build_chat(body: dict[str, Any], target: Target, by_hand: bool) -> dict[str, Any]:
    """The unified request. `by_hand`: the client wrote the model's turns itself; otherwise it
    received them as replies."""
    body = to_camel_case(body)
    chat: dict[str, Any] = {"model": "m", "messages": []}
    if body.get("systemInstruction"):
        chat["messages"] += build_user_messages(body["systemInstruction"]["parts"], "system")
    for turn in body["contents"]:
        if turn["role"] == "model":
            chat["messages"].append(
                write_message(turn["parts"]) if by_hand else receive_message(turn["parts"], target)
            )
        else:
            chat["messages"] += build_user_messages(turn["parts"])
    options = {
        name: value
        for name, value in body.items()
        if name not in ("contents", "systemInstruction", "tools", "generationConfig")
    }
    add_config(body.get("generationConfig") or {}, chat, options)
    add_tools(body, chat, options)
    if options:
        chat["provider_options"] = {"gemini": options}
    return chat


def add_config(config: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    rest = {name: value for name, value in config.items() if name not in CONFIG_FIELDS}
    chat |= {CONFIG_FIELDS[name]: value for name, value in config.items() if name in CONFIG_FIELDS}
    if rest.get("responseMimeType") == "application/json":
        del rest["responseMimeType"]
        schema = rest.pop("responseJsonSchema", None)
        json_schema = {"name": "answer", "schema": schema}
        chat["response_format"] = (
            {"type": "json_schema", "json_schema": json_schema}
            if schema
            else {"type": "json_object"}
        )
    if rest:
        options["generationConfig"] = rest


def add_tools(body: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    tools = body.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:
        for declaration in tool.get("functionDeclarations", ()):
            schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
            function = {
                "name": declaration["name"],
                "description": declaration["description"],
                "parameters": schema,
            }
            chat.setdefault("tools", []).append({"type": "function", "function": function})
        if "functionDeclarations" not in tool:
            options.setdefault("tools", []).append(tool)
    config = (options.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if config.get("mode") in TOOL_CHOICES:
        chat["tool_choice"] = TOOL_CHOICES[config["mode"]]
        del options["toolConfig"]["functionCallingConfig"]


# --- turns ---------------------------------------------------------------------------------------


def build_user_messages(parts: list[dict[str, Any]], role: str = "user") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for part in parts:
        if "functionResponse" in part:
            messages.append(build_result(part["functionResponse"]))
        elif messages and messages[-1]["role"] == role:
            messages[-1]["content"].append(build_part(part))
        else:
            messages.append({"role": role, "content": [build_part(part)]})
    return messages


def build_part(part: dict[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    data, reference = part.get("inlineData"), part.get("fileData")
    if data:
        kind = "image_url" if data["mimeType"].startswith("image/") else "file"
        url = f"data:{data['mimeType']};base64,{data['data']}"
        return {"type": kind, kind: {"url" if kind == "image_url" else "file_data": url}}
    assert reference, part
    ending = (reference.get("mimeType") or "").replace("audio/mpeg", "mp3").rpartition("/")[2]
    file = {"file_url": reference["fileUri"]}
    if ending:
        file["filename"] = f"file.{ending}"
    return {"type": "file", "file": file}


def build_result(result: dict[str, Any]) -> dict[str, Any]:
    response = result["response"]
    is_error = response.keys() == {"error"} and isinstance(response["error"], str)
    text = response["error"] if is_error else json.dumps(response) if response else ""
    files = [build_part(file) for file in result.get("parts", ())]
    message = {
        "role": "tool",
        "tool_call_id": result["id"],
        "content": [{"type": "text", "text": text}, *files],
    }
    return {**message, "is_error": True} if is_error else message


def receive_message(parts: list[dict[str, Any]], target: Target) -> dict[str, Any]:
    """The message of a client that received these parts as a reply."""
    content = {"parts": json.loads(json.dumps(parts))}
    body = {"candidates": [{"content": content, "finishReason": "STOP"}]}
    message: dict[str, Any] = DIALECTS["gemini"].response(body, target)["choices"][0]["message"]
    return message


def write_message(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The message of a client that knows the documented fields, but not the offsets in them."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for part in parts:
        if "functionCall" in part:
            message.setdefault("tool_calls", []).append(write_call(part))
        elif part.keys() == {"text"}:
            message["content"] = (message["content"] or "") + part["text"]
        else:
            message.setdefault("provider_content", []).append({"format": "gemini", "block": part})
    return message


def write_call(part: dict[str, Any]) -> dict[str, Any]:
    call = part["functionCall"]
    function = {"name": call["name"], "arguments": json.dumps(call.get("args") or {})}
    tool_call = {"id": call["id"], "type": "function", "function": function}
    if "thoughtSignature" in part:
        google = {"thought_signature": part["thoughtSignature"]}
        tool_call["extra_content"] = {"google": google}
    return tool_call


def is_plain(body: dict[str, Any]) -> bool:
    """Whether the parts of all model turns are in the order in which messages written by hand are
    sent."""
    turns = [turn["parts"] for turn in to_camel_case(body)["contents"] if turn["role"] == "model"]
    orders = [[rank_part(part) for part in parts] for parts in turns]
    return all(order == sorted(order) for order in orders)


def rank_part(part: dict[str, Any]) -> int:
    """Blocks come first, then text, then calls."""
    if "functionCall" in part:
        return 2
    return 1 if part.keys() == {"text"} else 0


# --- a reply, and what its provider gets back ----------------------------------------------------


def read_reply(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a reply, those of a stream in one list. Empty if the provider wrote nothing or
    failed."""
    lines = recording.get("raw", "").splitlines()
    bodies = (
        [recording["body"]]
        if "body" in recording
        else [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    )
    candidates = [candidate for body in bodies for candidate in body.get("candidates", ())]
    parts = [
        part
        for candidate in candidates
        for part in (candidate.get("content") or {}).get("parts") or ()
    ]
    return normalize_parts(parts, is_reply=True)


def read_last_turn(body: dict[str, Any]) -> list[dict[str, Any]]:
    return normalize_parts(body["contents"][-1]["parts"], is_reply=True)


# --- differences that do not matter --------------------------------------------------------------


def normalize(body: dict[str, Any]) -> dict[str, Any]:
    normalized = to_camel_case(body)
    normalized["contents"] = [
        {"role": turn["role"], "parts": normalize_parts(turn["parts"])}
        for turn in normalized["contents"]
    ]
    if "systemInstruction" in normalized:
        normalized["systemInstruction"] = normalized["systemInstruction"]["parts"]
    config = normalized.pop("generationConfig", {})
    if config.get("responseModalities") == ["TEXT"]:
        del config["responseModalities"]
    tools = normalized.pop("tools", [])
    tools = [normalize_tool(tool) for tool in (tools if isinstance(tools, list) else [tools])]
    tool_config = normalized.pop("toolConfig", {})
    if tool_config.get("functionCallingConfig") == {"mode": "AUTO"}:
        del tool_config["functionCallingConfig"]
    return {
        **normalized,
        "generationConfig": config,
        "tools": sorted(tools, key=str),
        "toolConfig": tool_config,
    }


def normalize_parts(parts: list[dict[str, Any]], is_reply: bool = False) -> list[dict[str, Any]]:
    """Consecutive texts are joined, with the signature that one of them has: it belongs to all that
    a stream cuts in pieces. If the provider gave a call no id, its id is the gateway's."""
    normalized: list[dict[str, Any]] = []
    for raw_part in parts:
        part = normalize_part(raw_part, is_reply)
        if part.get("text") == "" and "thoughtSignature" not in part:
            continue
        last = normalized[-1] if normalized else {}
        are_signed = "thoughtSignature" in part and "thoughtSignature" in last
        is_same_kind = last.get("thought") == part.get("thought")
        if "text" in part and "text" in last and is_same_kind and not are_signed:
            normalized[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            normalized.append(part)
    return normalized


def normalize_part(part: dict[str, Any], is_reply: bool) -> dict[str, Any]:
    part = {name: value for name, value in part.items() if value not in (None, False)}
    if part.get("fileData", {}).get("mimeType") == "audio/mpeg":
        # Google's own name of this type is audio/mp3.
        part["fileData"] = {**part["fileData"], "mimeType": "audio/mp3"}
    if "functionCall" in part:
        part["functionCall"] = {"args": {}, **part["functionCall"]}
        if is_reply:
            part["functionCall"]["id"] = "any"
    return part


def normalize_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if "functionDeclarations" not in tool:
        return tool
    declarations = [normalize_declaration(item) for item in tool["functionDeclarations"]]
    return {"functionDeclarations": declarations}


def normalize_declaration(declaration: dict[str, Any]) -> dict[str, Any]:
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters") or {}
    schema = {**schema, "type": str(schema.get("type", "object")).lower()}
    return {
        "name": declaration["name"],
        "description": declaration.get("description", ""),
        "schema": schema,
    }
