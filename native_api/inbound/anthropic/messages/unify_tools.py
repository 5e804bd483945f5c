"""Tools of a Messages request as unified ones. Those of the client are functions, Anthropic's
search is `web_search_options`, and others of its own tools are left out if the model can answer
without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_api.inbound.checks import MAX_SHOWN
from native_api.inbound.translation import Report
from native_api.types import Json

CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
"""Type of a `tool_choice` -> the unified mode."""

HELPERS: Final = ("tool_search_tool_", "advisor_")
"""How the types of Anthropic's tools begin that only help the model: to find the other tools, which
it is all given, or with advice."""
WEB_SEARCH: Final = "web_search_"

HINTS: Final = ("input_examples", "defer_loading", "allowed_callers", "eager_input_streaming")
"""Members of the client's tools that the unified request does not have."""
SEARCH_LIMITS: Final = (
    "allowed_domains", "blocked_domains", "max_uses", "response_inclusion", "cache_control",
    "defer_loading", "allowed_callers",
)  # fmt: skip
"""The same of the web search."""
PLACE: Final = ("city", "country", "region", "timezone")


def unify_tools(body: Mapping[str, Any], changes: Iterable[Json], report: Report) -> Json:
    """`tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`, if there are any.

    `changes` are the blocks of the conversation that add or remove tools.
    """
    unified: Json = {}
    tools: dict[str, Json] = {}
    paths: dict[str, str] = {}
    for index, tool in enumerate(body.get("tools") or ()):
        _add_tool(tool, f"tools[{index}]", tools, unified, report)
        paths.setdefault(str(tool.get("name")), f"tools[{index}]")
    for change in changes:
        _change_tools(change, tools, unified, report)
    if tools:
        unified["tools"] = list(tools.values())
        report.locate("tools", (paths.get(name, "messages") for name in tools))
    return unified | _unify_choice(body.get("tool_choice") or {}, tools, unified, report)


def _add_tool(tool: Json, path: str, tools: dict[str, Json], unified: Json, report: Report) -> None:
    kind = "custom" if tool.get("type") is None else tool["type"]
    if kind == "custom":
        tools[tool["name"]] = _build_function(tool, report)
    elif kind.startswith(WEB_SEARCH):
        unified["web_search_options"] = _build_search(tool, report)
    elif kind.startswith(HELPERS):
        report.omit(f"tools.{kind[:MAX_SHOWN]}")
    else:
        report.refuse(f"{path}.type", f"only Anthropic has the tool {kind[:MAX_SHOWN]!r}")


def _build_function(tool: Json, report: Report) -> Json:
    function: Json = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    report.omit_all(f"tools.{name}" for name in HINTS if _says_something(tool, name))
    built: Json = {"type": "function", "function": function}
    if tool.get("cache_control"):
        built["cache_control"] = tool["cache_control"]
    return built


def _says_something(tool: Json, name: str) -> bool:
    return bool(tool.get(name)) and tool[name] != ["direct"]


def _build_search(tool: Json, report: Report) -> Json:
    report.omit_all(
        f"tools.web_search.{name}" for name in SEARCH_LIMITS if _says_something(tool, name)
    )
    location = tool.get("user_location") or {}
    place = {name: location[name] for name in PLACE if location.get(name)}
    if not place:
        return {}
    return {"user_location": {"type": "approximate", "approximate": place}}


def _change_tools(change: Json, tools: dict[str, Json], unified: Json, report: Report) -> None:
    """Add or remove a tool, as an instruction in the conversation says."""
    tool = change["tool"]
    name = tool.get("name")
    if change["type"] == "tool_removal":
        if isinstance(name, str):
            tools.pop(name, None)
    elif tool.get("definition"):
        _add_tool(tool["definition"], "messages.tool_addition.definition", tools, unified, report)


def _unify_choice(choice: Json, tools: Mapping[str, Json], unified: Json, report: Report) -> Json:
    kind = choice.get("type")
    if not tools:
        if kind in ("any", "tool"):
            report.omit("tool_choice")
        return {}
    unified_choice: Json = {}
    if choice.get("disable_parallel_tool_use"):
        unified_choice["parallel_tool_calls"] = False
    if kind in CHOICES:
        unified_choice["tool_choice"] = CHOICES[kind]
    elif kind == "tool" and choice["name"] in tools:
        named = {"type": "function", "function": {"name": choice["name"]}}
        unified_choice["tool_choice"] = named
    elif kind == "tool" and "web_search_options" not in unified:
        report.refuse("tool_choice.name", "there is no tool of that name")
    elif kind is not None:
        report.omit("tool_choice")
    return unified_choice
