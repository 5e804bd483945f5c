"""Tools, the choice among them and the response format, in Gemini's words.

Source: https://ai.google.dev/gemini-api/docs/function-calling and /structured-output (read
2026-11).

Rules:
1. Models before generation 3 refuse a JSON response type together with functions. If a function may
   be called, but need not be, an answer tool carries the structured answer.
2. If no function may be called, those models get no functions, so that they can answer in JSON.
3. If a function must be called, there is no answer whose format could matter to those models.

`fields` are the supported fields of the request, `generation` is the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.gemini.schema import adapt_schema
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UnsupportedField
from native_api.types import Json

Fields = Mapping[str, Any]


# --- tools ---------------------------------------------------------------------------------------


def build_tools(fields: Fields, generation: float) -> list[Json]:
    """The body's `tools`: all functions in one entry, Google Search in another."""
    tools: list[Json] = []
    functions = [
        _build_declaration(tool, f"tools[{index}]")
        for index, tool in enumerate(fields.get("tools") or ())
    ]
    if needs_answer_tool(fields, generation):
        functions.append(_build_answer_tool(fields["response_format"]))
    if functions and not _omits_functions(fields, generation):
        tools.append({"functionDeclarations": functions})
    if fields.get("web_search_options") is not None:
        tools.append({"googleSearch": {}})
    return tools


def _omits_functions(fields: Fields, generation: float) -> bool:
    """Whether functions that must not be called are left out, because they would rule out a JSON
    answer. Otherwise the mode NONE forbids the calls."""
    return (
        fields.get("tool_choice") == "none" and bool(_read_response_type(fields)) and generation < 3
    )


def _build_declaration(tool: Json, path: str) -> Json:
    if tool.get("type", "function") != "function":
        raise UnsupportedField(path, f"this provider has no {tool['type']!r} tools")
    function = tool["function"]
    declaration = {"name": function["name"], "description": function.get("description") or ""}
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = _as_object_schema(
            adapt_schema(function["parameters"], f"{path}.function.parameters")
        )
    return declaration


def _as_object_schema(schema: Json) -> Json:
    return schema if "type" in schema else {**schema, "type": "object"}


# --- the choice among them -----------------------------------------------------------------------


def build_tool_choice(fields: Fields, generation: float) -> Json | None:
    """The `functionCallingConfig`, None for the provider's own default."""
    if not fields.get("tools") or _omits_functions(fields, generation):
        return None
    choice = fields.get("tool_choice")
    has_answer_tool = needs_answer_tool(fields, generation)
    if isinstance(choice, dict):
        return _build_named_choice(choice, has_answer_tool)
    if has_answer_tool:
        return {"mode": "ANY"}
    if choice in ("none", "required"):
        return {"mode": {"none": "NONE", "required": "ANY"}[choice]}
    if generation >= 2.5 and any(
        tool.get("function", {}).get("strict") for tool in fields["tools"]
    ):
        # The mode that guarantees arguments that match the schema, as `strict` demands.
        return {"mode": "VALIDATED"}
    return {"mode": "AUTO"} if choice == "auto" else None


def _build_named_choice(choice: Json, has_answer_tool: bool) -> Json:
    if choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    if choice.get("type") != "allowed_tools":
        raise UnsupportedField("tool_choice", f"this provider has no {choice.get('type')!r} tools")
    allowed = choice["allowed_tools"]
    names = [(tool.get("function") or tool).get("name") for tool in allowed["tools"]]
    if has_answer_tool:
        return {"mode": "ANY", "allowedFunctionNames": [*names, ANSWER_TOOL]}
    # AUTO takes no list of names. VALIDATED does, and leaves it to the model whether to call.
    mode = "ANY" if _requires_call(choice) else "VALIDATED"
    return {"mode": mode, "allowedFunctionNames": names}


def _requires_call(choice: Any) -> bool:
    if isinstance(choice, dict):
        return (
            choice.get("type") != "allowed_tools" or choice["allowed_tools"]["mode"] == "required"
        )
    return bool(choice == "required")


# --- the response format -------------------------------------------------------------------------


def _read_response_type(fields: Fields) -> str:
    """`json_object`, `json_schema`, or "" for plain text."""
    kind = (fields.get("response_format") or {}).get("type", "text")
    return "" if kind == "text" else str(kind)


def needs_answer_tool(fields: Fields, generation: float) -> bool:
    """Whether a tool must carry the structured answer. See the module's rules."""
    choice = fields.get("tool_choice")
    return bool(
        _read_response_type(fields)
        and fields.get("tools")
        and generation < 3
        and choice != "none"
        and not _requires_call(choice)
    )


def _build_answer_tool(response_format: Json) -> Json:
    if response_format["type"] != "json_schema":
        raise UnsupportedField(
            "response_format", "this model takes json_object only without tools; use json_schema"
        )
    json_schema = response_format["json_schema"]
    schema = _as_object_schema(
        adapt_schema(json_schema.get("schema") or {}, "response_format.json_schema.schema")
    )
    if schema["type"] != "object":
        raise UnsupportedField(
            "response_format.json_schema.schema",
            "together with tools this model takes only the schema of an object",
        )
    description = "Gives the final answer. Call this once no other function is needed."
    return {
        "name": ANSWER_TOOL,
        "description": json_schema.get("description") or description,
        "parametersJsonSchema": schema,
    }


def add_response_format(fields: Fields, generation: float, config: Json) -> None:
    """Ask for JSON in the generation config, unless functions rule that out."""
    kind = _read_response_type(fields)
    must_call = bool(fields.get("tools")) and _requires_call(fields.get("tool_choice"))
    if not kind or needs_answer_tool(fields, generation) or (must_call and generation < 3):
        return
    config["responseMimeType"] = "application/json"
    schema = (fields["response_format"].get("json_schema") or {}).get("schema")
    if kind == "json_schema" and schema:
        config["responseJsonSchema"] = adapt_schema(schema, "response_format.json_schema.schema")
