"""Tools of Responses, and the choice of one, as unified ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from native_api.exceptions import UnsupportedField
from native_api.inbound.openai.responses.unify_tools import ToolName, flatten_tools, split_name
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_body
from tests.inbound.responses.request_reading import find_fault, unify, unify_items

USER = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
SEARCH = {"type": "function", "name": "search", "description": "Finds.", "parameters": SCHEMA}


def namespace(name: str, *tools: Any, **members: Any) -> dict[str, Any]:
    return {"type": "namespace", "name": name, "tools": list(tools), **members}


def read_names(*tools: Any) -> list[str]:
    return [tool["function"]["name"] for tool in unify(tools=list(tools))[0].get("tools", ())]


def test_a_function_is_one() -> None:
    unified, omitted = unify(tools=[FUNCTION, {"type": "function", "name": "g", "strict": None}])
    assert unified["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}},
        {"type": "function", "function": {"name": "g"}},
    ]
    assert omitted == []


def test_members_that_no_other_api_has_are_reported() -> None:
    tool = {
        **FUNCTION,
        "defer_loading": True,
        "output_schema": {"type": "string"},
        "allowed_callers": ["direct"],
        "async": False,
        "new": None,
    }
    assert unify(tools=[tool])[1] == ["tools.defer_loading", "tools.output_schema"]


# --- namespaces ----------------------------------------------------------------------------------


def test_tools_in_a_namespace_have_it_in_their_names() -> None:
    tools = [namespace("mcp__hub", SEARCH, {"type": "custom", "name": "run"}), FUNCTION]
    assert read_names(*tools) == ["mcp__hub__search", "mcp__hub__run", "f"]
    body = {"tools": tools}
    assert split_name("mcp__hub__search", body) == ToolName("search", "mcp__hub")
    assert split_name("f", body) == ToolName("f")
    assert split_name("unheard_of", body) == ToolName("unheard_of")


def test_a_model_may_leave_out_the_namespace() -> None:
    hubs = [namespace("a", SEARCH), namespace("b", {**SEARCH, "name": "find"})]
    assert split_name("find", {"tools": hubs}) == ToolName("find", "b")
    body = {"tools": [*hubs, namespace("c", {**SEARCH, "name": "find"})]}
    assert split_name("find", body) == ToolName("find")
    assert split_name("search", {"tools": [*hubs, SEARCH]}) == ToolName("search")


def test_another_tool_in_a_namespace_makes_the_target_unsuitable() -> None:
    fault = find_fault(tools=[namespace("n", SEARCH, {"type": "mcp"})])
    assert (fault.code, fault.param) == ("unsupported_field", "tools[0].tools[1].type")


def test_the_description_of_a_namespace_is_reported() -> None:
    assert unify(tools=[namespace("n", SEARCH, description="All of it.")])[1] == [
        "tools.namespace.description"
    ]


ODD_NAMES = [
    ("a", "b__c"),
    ("a__b", "c"),
    ("a b", "c"),
    ("a_b", "c"),
    ("1", "2"),
    ("-", "é"),
    ("n" * 80, "f"),
    ("n" * 80, "g"),
    ("", "x"),
]


def test_every_name_is_valid_everywhere_and_maps_back() -> None:
    tools = [
        {"type": "function", "name": "a__b__c"},
        *(namespace(space, {**SEARCH, "name": name}) for space, name in ODD_NAMES),
    ]
    body = {"tools": tools}
    names = read_names(*tools)
    assert len(set(names)) == len(names) == len(tools)
    for name in names[1:]:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,63}", name)
    assert [split_name(name, body) for name in names[1:]] == [
        ToolName(name, space) for space, name in ODD_NAMES
    ]


@each("target", TARGETS)
def test_every_target_takes_such_a_name(target: str) -> None:
    unified, _ = unify(tools=[namespace("mcp__my-hub.v2", SEARCH)])
    tools = unified["tools"]
    assert "mcp__my_hub_v2__search" in str(build_body(target, USER, tools=tools))


def test_an_earlier_call_has_the_name_of_the_tool() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "search", "arguments": "{}"}
    for tools in ([namespace("hub", SEARCH)], []):
        message = unify_items(USER, {**call, "namespace": "hub"}, tools=tools)[1]
        assert message["tool_calls"][0]["function"]["name"] == "hub__search"
        assert "extra_content" not in message["tool_calls"][0]


def test_a_tool_that_is_there_twice_is_one() -> None:
    body = {"tools": [FUNCTION, FUNCTION, namespace("n", SEARCH), namespace("n", SEARCH)]}
    assert [flat.unified_name for flat in flatten_tools(body)] == ["f", "n__search"]


# --- tools of the provider -----------------------------------------------------------------------


@each("kind", ["web_search", "web_search_2025_08_26", "web_search_preview"])
def test_a_web_search_is_one(kind: str) -> None:
    tool = {
        "type": kind,
        "search_context_size": "low",
        "user_location": {"type": "approximate", "city": "Rome", "country": None},
        "filters": None,
    }
    unified, omitted = unify(tools=[tool])
    assert unified["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Rome"}},
    }
    assert "tools" not in unified
    assert omitted == []
    assert unify(tools=[{"type": kind}])[0]["web_search_options"] == {}


def test_options_of_a_search_that_no_other_api_has_are_reported() -> None:
    tool = {"type": "web_search", "filters": {"allowed_domains": ["a.test"]}}
    assert unify(tools=[tool])[1] == ["tools.web_search.filters"]


def test_the_search_that_codex_always_asks_for_is_left_out() -> None:
    tool = {"type": "web_search", "external_web_access": False}
    unified, omitted = unify(tools=[tool, FUNCTION], tool_choice="auto")
    assert "web_search_options" not in unified
    assert omitted == ["tools.web_search"]


@each("kind", ["code_interpreter", "image_generation", "tool_search", "programmatic_tool_calling"])
def test_a_tool_that_the_model_can_do_without_is_left_out(kind: str) -> None:
    unified, omitted = unify(tools=[{"type": kind}, FUNCTION])
    assert [tool["function"]["name"] for tool in unified["tools"]] == ["f"]
    assert omitted == [f"tools.{kind}"]


@each(
    "kind",
    [
        "file_search",
        "mcp",
        "computer",
        "computer_use_preview",
        "local_shell",
        "shell",
        "apply_patch",
        "tool_of_next_year",
    ],
)
def test_a_tool_that_the_answer_depends_on_makes_the_target_unsuitable(kind: str) -> None:
    fault = find_fault(tools=[FUNCTION, {"type": kind}])
    assert isinstance(fault, UnsupportedField)
    assert fault.path == "tools[1].type"


# --- the choice ----------------------------------------------------------------------------------

HUB = namespace("hub", SEARCH)


@each(
    "choice, unified",
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        (
            {"type": "function", "name": "search", "namespace": "hub"},
            {"type": "function", "function": {"name": "hub__search"}},
        ),
        (
            {"type": "function", "name": "search"},
            {"type": "function", "function": {"name": "hub__search"}},
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "image_generation"}]},
            "none",
        ),
    ],
)
def test_a_choice(choice: Any, unified: Any) -> None:
    assert unify(tools=[FUNCTION, HUB], tool_choice=choice)[0]["tool_choice"] == unified


@each("choice", ["auto", "none"])
def test_a_choice_of_nothing_says_nothing(choice: str) -> None:
    tool = {"type": "web_search", "external_web_access": False}
    for tools in ([], [tool]):
        assert "tool_choice" not in unify(tools=tools, tool_choice=choice)[0]


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "mcp", "server_label": "s"},
        {"type": "image_generation"},
        {"type": "shell"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp"}]},
    ],
)
def test_a_choice_that_no_other_api_has_is_named(choice: Any) -> None:
    fault = find_fault(tools=[FUNCTION], tool_choice=choice)
    assert isinstance(fault, UnsupportedField)
    assert fault.path.startswith("tool_choice")


def test_a_tool_has_to_be_called_but_none_is_left() -> None:
    fault = find_fault(tools=[{"type": "image_generation"}], tool_choice="required")
    assert (fault.code, fault.param) == ("unsupported_field", "tool_choice")
