"""Gemini's request bodies as the unified requests that clients send for them, and what makes no
difference between bodies.

Knows the wire's shapes and the documented unified ones, nothing of how the dialect gets from one to
the other. Google takes names in both camelCase and snake_case; here they are read as camelCase.
"""

from __future__ import annotations

import json
import re
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Target

CONFIG = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
    "seed": "seed",
}
MODES = {"AUTO": "auto", "NONE": "none"}
FREE = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseSchema",
    }
)
"""Members whose own names are the client's."""


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {
        re.sub(r"_(\w)", lambda found: found[1].upper(), name): item for name, item in value.items()
    }
    return {name: item if name in FREE else camel(item) for name, item in named.items()}


def unified(body: dict[str, Any], target: Target, by_hand: bool) -> dict[str, Any]:
    """The unified request. `by_hand`: the client wrote the model's turns itself, else it got them
    as replies."""
    body = camel(body)
    chat: dict[str, Any] = {"model": "m", "messages": []}
    if body.get("systemInstruction"):
        chat["messages"] += user(body["systemInstruction"]["parts"], "system")
    for turn in body["contents"]:
        if turn["role"] == "model":
            chat["messages"].append(
                written(turn["parts"]) if by_hand else received(turn["parts"], target)
            )
        else:
            chat["messages"] += user(turn["parts"])
    options = {
        name: value
        for name, value in body.items()
        if name not in ("contents", "systemInstruction", "tools", "generationConfig")
    }
    structure(body.get("generationConfig") or {}, chat, options)
    tools(body, chat, options)
    if options:
        chat["provider_options"] = {"gemini": options}
    return chat


def structure(config: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    rest = {name: value for name, value in config.items() if name not in CONFIG}
    chat |= {CONFIG[name]: value for name, value in config.items() if name in CONFIG}
    if rest.get("responseMimeType") == "application/json":
        del rest["responseMimeType"]
        schema = rest.pop("responseJsonSchema", None)
        told = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        chat["response_format"] = told if schema else {"type": "json_object"}
    if rest:
        options["generationConfig"] = rest


def tools(body: dict[str, Any], chat: dict[str, Any], options: dict[str, Any]) -> None:
    listed = body.get("tools") or []
    for tool in listed if isinstance(listed, list) else [listed]:
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
    calling = (options.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode") in MODES:
        chat["tool_choice"] = MODES[calling["mode"]]
        del options["toolConfig"]["functionCallingConfig"]


# --- turns -------------------------------------------------------------------------------------------------


def user(parts: list[dict[str, Any]], role: str = "user") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for told in parts:
        if "functionResponse" in told:
            messages.append(result(told["functionResponse"]))
        elif messages and messages[-1]["role"] == role:
            messages[-1]["content"].append(part(told))
        else:
            messages.append({"role": role, "content": [part(told)]})
    return messages


def part(told: dict[str, Any]) -> dict[str, Any]:
    if "text" in told:
        return {"type": "text", "text": told["text"]}
    data, address = told.get("inlineData"), told.get("fileData")
    if data:
        kind = "image_url" if data["mimeType"].startswith("image/") else "file"
        url = f"data:{data['mimeType']};base64,{data['data']}"
        return {"type": kind, kind: {"url" if kind == "image_url" else "file_data": url}}
    assert address, told
    ending = (address.get("mimeType") or "").replace("audio/mpeg", "mp3").rpartition("/")[2]
    return {
        "type": "file",
        "file": {
            "file_url": address["fileUri"],
            **({"filename": f"file.{ending}"} if ending else {}),
        },
    }


def result(told: dict[str, Any]) -> dict[str, Any]:
    response = told["response"]
    failed = response.keys() == {"error"} and isinstance(response["error"], str)
    text = response["error"] if failed else json.dumps(response) if response else ""
    content = [{"type": "text", "text": text}, *(part(file) for file in told.get("parts", ()))]
    message = {"role": "tool", "tool_call_id": told["id"], "content": content}
    return {**message, **({"is_error": True} if failed else {})}


def received(parts: list[dict[str, Any]], target: Target) -> dict[str, Any]:
    body = {
        "candidates": [
            {"content": {"parts": json.loads(json.dumps(parts))}, "finishReason": "STOP"}
        ]
    }
    message: dict[str, Any] = DIALECTS["gemini"].response(body, target)["choices"][0]["message"]
    return message


def written(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The message of a client that knows the documented fields and none of the numbers in them."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for told in parts:
        if "functionCall" in told:
            call = told["functionCall"]
            function = {"name": call["name"], "arguments": json.dumps(call.get("args") or {})}
            signed = (
                {"extra_content": {"google": {"thought_signature": told["thoughtSignature"]}}}
                if "thoughtSignature" in told
                else {}
            )
            message.setdefault("tool_calls", []).append(
                {"id": call["id"], "type": "function", "function": function, **signed}
            )
        elif told.keys() == {"text"}:
            message["content"] = (message["content"] or "") + told["text"]
        else:
            message.setdefault("provider_content", []).append({"format": "gemini", "block": told})
    return message


def is_plain(body: dict[str, Any]) -> bool:
    """Whether every turn of the model is in the order that messages written by hand are sent in."""
    turns = [turn["parts"] for turn in camel(body)["contents"] if turn["role"] == "model"]
    ranks = [
        [2 if "functionCall" in told else 1 if told.keys() == {"text"} else 0 for told in parts]
        for parts in turns
    ]
    return all(order == sorted(order) for order in ranks)


# --- what a provider said, and what it gets back -----------------------------------------------------------


def said(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a reply, those of a stream in one row. Empty where the provider wrote nothing or
    failed."""
    lines = recording.get("raw", "").splitlines()
    bodies = (
        [recording["body"]]
        if "body" in recording
        else [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    )
    candidates = [candidate for body in bodies for candidate in body.get("candidates", ())]
    parts = [
        told
        for candidate in candidates
        for told in (candidate.get("content") or {}).get("parts") or ()
    ]
    return normal_parts(parts, replied=True)


def last_turn(body: dict[str, Any]) -> list[dict[str, Any]]:
    return normal_parts(body["contents"][-1]["parts"], replied=True)


# --- what makes no difference ------------------------------------------------------------------------------


def normal(body: dict[str, Any]) -> dict[str, Any]:
    told = camel(body)
    told["contents"] = [
        {"role": turn["role"], "parts": normal_parts(turn["parts"])} for turn in told["contents"]
    ]
    if "systemInstruction" in told:
        told["systemInstruction"] = told["systemInstruction"]["parts"]
    config = told.pop("generationConfig", {})
    if config.get("responseModalities") == ["TEXT"]:
        del config["responseModalities"]
    listed = told.pop("tools", [])
    tools = [normal_tool(tool) for tool in (listed if isinstance(listed, list) else [listed])]
    calling = told.pop("toolConfig", {})
    if calling.get("functionCallingConfig") == {"mode": "AUTO"}:
        del calling["functionCallingConfig"]
    return {
        **told,
        "generationConfig": config,
        "tools": sorted(tools, key=str),
        "toolConfig": calling,
    }


def normal_parts(parts: list[dict[str, Any]], replied: bool = False) -> list[dict[str, Any]]:
    """Texts that stand side by side are one, with the signature that one of them has: it is of all
    that a stream cuts in pieces. A call's id is the gateway's where the provider gave none."""
    told: list[dict[str, Any]] = []
    for part in parts:
        part = {name: value for name, value in part.items() if value not in (None, False)}
        if part.get("fileData", {}).get("mimeType") == "audio/mpeg":
            part["fileData"] = {
                **part["fileData"],
                "mimeType": "audio/mp3",
            }  # Google's own name for it
        if "functionCall" in part:
            part["functionCall"] = {
                "args": {},
                **part["functionCall"],
                **({"id": "any"} if replied else {}),
            }
        if part.get("text") == "" and "thoughtSignature" not in part:
            continue
        last = told[-1] if told else {}
        signed = "thoughtSignature" in part and "thoughtSignature" in last
        if (
            "text" in part
            and "text" in last
            and last.get("thought") == part.get("thought")
            and not signed
        ):
            told[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            told.append(part)
    return told


def normal_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if "functionDeclarations" not in tool:
        return tool
    return {
        "functionDeclarations": [
            normal_declaration(declaration) for declaration in tool["functionDeclarations"]
        ]
    }


def normal_declaration(declaration: dict[str, Any]) -> dict[str, Any]:
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters") or {}
    schema = {**schema, "type": str(schema.get("type", "object")).lower()}
    return {
        "name": declaration["name"],
        "description": declaration.get("description", ""),
        "schema": schema,
    }
