"""Tools, the choice among them and the shape of the answer, as Gemini says them.

Source: https://ai.google.dev/gemini-api/docs/function-calling and /structured-output (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.gemini.schema import adapted
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UnsupportedField
from native_api.types import Json

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def declare(said: Mapping[str, Any], number: float) -> list[Json]:
    """The body's `tools`: functions in one entry, Google Search in its own. `number` is the model's
    generation."""
    tools: list[Json] = []
    functions = [
        _declaration(tool, f"tools[{position}]")
        for position, tool in enumerate(said.get("tools") or ())
    ]
    if answers_by_tool(said, number):
        functions.append(_answer_declaration(said["response_format"]))
    if functions and not _are_out_of_play(said, number):
        tools.append({"functionDeclarations": functions})
    if said.get("web_search_options") is not None:
        tools.append({"googleSearch": {}})
    return tools


def _are_out_of_play(said: Mapping[str, Any], number: float) -> bool:
    """Functions that must not be called are left out where they would forbid a JSON answer; mode
    NONE means the same."""
    return said.get("tool_choice") == "none" and bool(_shape(said)) and number < 3


def _declaration(tool: Json, place: str) -> Json:
    if tool.get("type", "function") != "function":
        raise UnsupportedField(place, f"this provider has no {tool['type']!r} tools")
    function = tool["function"]
    if not NAME.fullmatch(function["name"]):
        raise UnsupportedField(
            f"{place}.function.name",
            "this provider takes letters, digits, '_', '.', ':' and '-', at most 128",
        )
    declaration = {"name": function["name"], "description": function.get("description") or ""}
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = _of_object(
            adapted(function["parameters"], f"{place}.function.parameters")
        )
    return declaration


def _of_object(schema: Json) -> Json:
    return schema if "type" in schema else {**schema, "type": "object"}


def calling(said: Mapping[str, Any], number: float) -> Json | None:
    """The `functionCallingConfig`, None where the provider's own default is meant."""
    if not said.get("tools") or _are_out_of_play(said, number):
        return None
    choice = said.get("tool_choice")
    by_tool = answers_by_tool(said, number)
    if isinstance(choice, dict):
        return _particular(choice, by_tool)
    if by_tool:
        return {"mode": "ANY"}
    if choice in ("none", "required"):
        return {"mode": {"none": "NONE", "required": "ANY"}[choice]}
    if number >= 2.5 and any(tool.get("function", {}).get("strict") for tool in said["tools"]):
        # The mode that promises arguments by the schema, which is what `strict` asks for.
        return {"mode": "VALIDATED"}
    return {"mode": "AUTO"} if choice == "auto" else None


def _particular(choice: Json, by_tool: bool) -> Json:
    if choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    if choice.get("type") != "allowed_tools":
        raise UnsupportedField("tool_choice", f"this provider has no {choice.get('type')!r} tools")
    allowed = choice["allowed_tools"]
    names = [(tool.get("function") or tool).get("name") for tool in allowed["tools"]]
    if by_tool:
        return {"mode": "ANY", "allowedFunctionNames": [*names, ANSWER_TOOL]}
    # AUTO takes no list of names; VALIDATED is the mode with a list that leaves the choice to the
    # model.
    return {"mode": "ANY" if _must_call(choice) else "VALIDATED", "allowedFunctionNames": names}


def _must_call(choice: Any) -> bool:
    if isinstance(choice, dict):
        return (
            choice.get("type") != "allowed_tools" or choice["allowed_tools"]["mode"] == "required"
        )
    return bool(choice == "required")


def _shape(said: Mapping[str, Any]) -> str:
    """`json_object`, `json_schema`, or "" for plain text."""
    kind = (said.get("response_format") or {}).get("type", "text")
    return "" if kind == "text" else str(kind)


def answers_by_tool(said: Mapping[str, Any], number: float) -> bool:
    """Whether a tool must carry the structured answer: models before generation 3 refuse a JSON
    type beside functions."""
    choice = said.get("tool_choice")
    return bool(
        _shape(said)
        and said.get("tools")
        and number < 3
        and choice != "none"
        and not _must_call(choice)
    )


def _answer_declaration(response_format: Json) -> Json:
    if response_format["type"] != "json_schema":
        raise UnsupportedField(
            "response_format", "this model takes json_object only without tools; use json_schema"
        )
    told = response_format["json_schema"]
    schema = _of_object(adapted(told.get("schema") or {}, "response_format.json_schema.schema"))
    if schema["type"] != "object":
        raise UnsupportedField(
            "response_format.json_schema.schema", "beside tools this model takes only an object"
        )
    description = "Gives the final answer. Call this once no other function is needed."
    return {
        "name": ANSWER_TOOL,
        "description": told.get("description") or description,
        "parametersJsonSchema": schema,
    }


def shape_answer(said: Mapping[str, Any], number: float, config: Json) -> None:
    """Ask for JSON in the generation config, unless tools are in the way and one of them carries
    the answer."""
    kind = _shape(said)
    must_call = bool(said.get("tools")) and _must_call(said.get("tool_choice"))
    if not kind or answers_by_tool(said, number) or (must_call and number < 3):
        return
    config["responseMimeType"] = "application/json"
    schema = (said["response_format"].get("json_schema") or {}).get("schema")
    if kind == "json_schema" and schema:
        config["responseJsonSchema"] = adapted(schema, "response_format.json_schema.schema")
