"""Tools of Responses as unified tools, and the choice of one.

A tool in a namespace gets a name that has the namespace in it, since no other API has namespaces.
`split_name` maps it back for the client. Custom tools are functions (`custom_tools`). Tools that
only OpenAI runs are left out and reported if the model can do without; otherwise the target is
unsuitable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from native_api.inbound.checks import MAX_SHOWN
from native_api.inbound.openai.responses.custom_tools import build_function
from native_api.inbound.openai.responses.unify_parts import refuse_kind
from native_api.inbound.translation import Report
from native_api.types import Json

MAX_NAME_LENGTH: Final = 64
DIGEST_LENGTH: Final = 8
UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_]")
"""Characters that some provider refuses in a tool's name."""
CALLABLE: Final = ("function", "custom")
WEB_SEARCH: Final = re.compile(r"web_search(_preview)?(_\d{4}_\d\d_\d\d)?")
DISPENSABLE: Final = frozenset(
    {"code_interpreter", "image_generation", "tool_search", "programmatic_tool_calling"}
)
"""Tools that OpenAI runs, without which a model still can answer."""
SERVED_MEMBERS: Final = frozenset({"type", "name", "description", "parameters", "strict", "format"})
"""Members of a function or a custom tool that the unified one has."""
UNSAID: Final = ("filters", "search_content_types")
"""Options of a web search that the unified one does not have."""
USUAL_VALUES: Final[tuple[Any, ...]] = (None, False, [], ["direct"])
"""Values of other members that change nothing."""


class ToolName(NamedTuple):
    """What a client calls its tool. `namespace` is "" for a tool without one."""

    name: str
    namespace: str = ""


class FlatTool(NamedTuple):
    """A function or a custom tool, with its unified name."""

    unified_name: str
    client_name: ToolName
    tool: Json
    path: str


class UnifiedTools(NamedTuple):
    tools: list[Json]
    web_search_options: Json | None
    names: Mapping[ToolName, str]
    """The client's name of each tool -> the unified one."""
    custom_names: frozenset[str]
    """The unified names of functions that stand for custom tools."""


# --- names ---------------------------------------------------------------------------------------


def list_tools(body: Json) -> Iterator[tuple[str, Json]]:
    """All tools of a request, each with its path: also those that items of `input` add."""
    for index, tool in enumerate(body.get("tools") or ()):
        yield f"tools[{index}]", tool
    items = body.get("input")
    for position, item in enumerate(items if isinstance(items, list) else ()):
        if item.get("type") in ("additional_tools", "tool_search_output"):
            for index, tool in enumerate(item.get("tools") or ()):
                yield f"input[{position}].tools[{index}]", tool


def flatten_tools(body: Json) -> list[FlatTool]:
    """The functions and custom tools of a request, those in namespaces included, each once."""
    found: dict[ToolName, tuple[Json, str]] = {}
    for path, tool in list_tools(body):
        if tool["type"] in CALLABLE:
            found.setdefault(ToolName(tool["name"]), (tool, path))
        elif tool["type"] == "namespace":
            for index, inner in enumerate(tool["tools"]):
                if inner["type"] in CALLABLE:
                    name = ToolName(inner["name"], tool["name"])
                    found.setdefault(name, (inner, f"{path}.tools[{index}]"))
    names = _assign_names(list(found))
    return [FlatTool(names[name], name, tool, path) for name, (tool, path) in found.items()]


def _assign_names(tools: list[ToolName]) -> dict[ToolName, str]:
    """A unified name for each tool, that no other one has."""
    names = {tool: tool.name for tool in tools if not tool.namespace}
    used = set(names.values())
    for tool in tools:
        if tool.namespace:
            name = join_name(tool)
            names[tool] = name if name not in used else _shorten(name, tool)
            used.add(names[tool])
    return names


def join_name(tool: ToolName) -> str:
    """The unified name of a tool in a namespace: one that every provider takes."""
    if not tool.namespace:
        return tool.name
    name = UNSAFE.sub("_", f"{tool.namespace}__{tool.name}")
    name = name if name[0].isalpha() else f"n{name}"
    return name if len(name) <= MAX_NAME_LENGTH else _shorten(name, tool)


def _shorten(name: str, tool: ToolName) -> str:
    """The name with an end that only this tool has."""
    written = f"{tool.namespace}\0{tool.name}".encode("utf-8", "surrogatepass")
    digest = sha256(written).hexdigest()[:DIGEST_LENGTH]
    return f"{name[: MAX_NAME_LENGTH - DIGEST_LENGTH - 1]}_{digest}"


def split_name(name: str, body: Json) -> ToolName:
    """The client's name of the tool that unified calls name so. `body` is the client's request.

    Models may leave out the namespace, which is all that is new in the name.
    """
    tools = flatten_tools(body)
    found = [flat.client_name for flat in tools if flat.unified_name == name]
    found = found or [flat.client_name for flat in tools if flat.client_name.name == name]
    return found[0] if len(found) == 1 else ToolName(name)


def find_custom_names(body: Json) -> frozenset[str]:
    """The unified names of functions that stand for custom tools of this request."""
    return _select_custom(flatten_tools(body))


def _select_custom(tools: list[FlatTool]) -> frozenset[str]:
    return frozenset(each.unified_name for each in tools if each.tool["type"] == "custom")


# --- tools ---------------------------------------------------------------------------------------


def unify_tools(body: Json, report: Report) -> UnifiedTools:
    """The unified tools. One that the answer depends on, but that only OpenAI has, is refused."""
    search = None
    for path, tool in list_tools(body):
        if tool["type"] not in (*CALLABLE, "namespace"):
            found = _read_hosted_tool(tool, path, report)
            search = search if found is None else found
        elif tool["type"] == "namespace":
            _check_namespace(tool, path, report)
    flat = flatten_tools(body)
    return UnifiedTools(
        [_unify_tool(each, report) for each in flat],
        search,
        {each.client_name: each.unified_name for each in flat},
        _select_custom(flat),
    )


def _check_namespace(namespace: Json, path: str, report: Report) -> None:
    if namespace.get("description"):
        report.omit("tools.namespace.description")
    for index, tool in enumerate(namespace["tools"]):
        if tool["type"] not in CALLABLE:
            refuse_kind(report, f"{path}.tools[{index}]", tool["type"])


def _read_hosted_tool(tool: Json, path: str, report: Report) -> Json | None:
    """The options of a web search. All other tools of OpenAI's have no unified form."""
    kind = tool["type"]
    if WEB_SEARCH.fullmatch(kind):
        # A search of what OpenAI has in store already. Codex asks for it in every request.
        if tool.get("external_web_access") is False:
            report.omit("tools.web_search")
            return None
        return _build_web_search(tool, report)
    if kind in DISPENSABLE:
        report.omit(f"tools.{kind}")
    else:
        refuse_kind(report, path, kind)
    return None


def _build_web_search(tool: Json, report: Report) -> Json:
    options: Json = {}
    if tool.get("search_context_size"):
        options["search_context_size"] = tool["search_context_size"]
    location = {name: value for name, value in (tool.get("user_location") or {}).items() if value}
    if location:
        location.pop("type", None)
        options["user_location"] = {"type": "approximate", "approximate": location}
    report.omit_all(f"tools.web_search.{name}" for name in UNSAID if tool.get(name))
    return options


def _unify_tool(flat: FlatTool, report: Report) -> Json:
    tool, kind = flat.tool, flat.tool["type"]
    report.omit_all(
        f"tools.{name[:MAX_SHOWN]}"
        for name, value in tool.items()
        if name not in SERVED_MEMBERS and value not in USUAL_VALUES
    )
    if kind == "custom":
        function = build_function(flat.unified_name, tool, report)
    else:
        function = {"name": flat.unified_name}
        function |= {name: tool[name] for name in FUNCTION_MEMBERS if tool.get(name) is not None}
    return {"type": "function", "function": function}


FUNCTION_MEMBERS: Final = ("description", "parameters", "strict")


# --- the choice ----------------------------------------------------------------------------------


def unify_tool_choice(choice: Any, unified: UnifiedTools, report: Report) -> Any:
    """The unified choice; None if it says nothing, because there are no tools left to choose from.

    It is refused if only a tool of OpenAI's could be chosen.
    """
    if isinstance(choice, str):
        if unified.tools:
            return choice
        if choice == "required" and unified.web_search_options is None:
            report.refuse("tool_choice", NO_TOOL)
        return None
    if choice["type"] == "allowed_tools":
        return _unify_allowed(choice, unified, report)
    if choice["type"] not in CALLABLE:
        refuse_kind(report, "tool_choice", choice["type"])
        return None
    return _name_tool(choice, unified)


NO_TOOL: Final = "there is no tool that another API has"


def _name_tool(choice: Json, unified: UnifiedTools) -> Json:
    return {"type": "function", "function": {"name": _find_name(choice, unified)}}


def _find_name(choice: Json, unified: UnifiedTools) -> str:
    """The unified name. A choice may lack the namespace of its tool."""
    name, namespace = str(choice.get("name") or ""), str(choice.get("namespace") or "")
    if ToolName(name, namespace) in unified.names:
        return unified.names[ToolName(name, namespace)]
    found = [unified.names[tool] for tool in unified.names if tool.name == name]
    return found[0] if len(found) == 1 else join_name(ToolName(name, namespace))


def _unify_allowed(choice: Json, unified: UnifiedTools, report: Report) -> Any:
    tools = [_name_tool(tool, unified) for tool in choice["tools"] if tool.get("type") in CALLABLE]
    if len(tools) < len(choice["tools"]):
        report.omit("tool_choice.tools")
    if tools:
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice["mode"], "tools": tools}}
    if choice["mode"] == "required":
        report.refuse("tool_choice.tools", NO_TOOL)
    return "none" if unified.tools else None
