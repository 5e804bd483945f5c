"""Members of messages, parts, calls and tools that nobody here knows go on as they were written on
OpenAI's wire. On any other they are left out and reported; a part or a tool of an unknown type
makes the target unsuitable."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, get_type_hints

import pytest

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.shared.unknown_members import (
    CALL_MEMBERS,
    MAX_NAMES,
    ROLE_MEMBERS,
    strip_unknown_members,
)
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Quirks, Target
from native_api.types.chat import Message, ToolCall
from native_api.upstream.files.inline import refuse_addresses
from tests.cases import each

OTHER_WIRES = [name for name, dialect in DIALECTS.items() if dialect.wire != "openai_chat"]
MARK = "unheard-of"
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
PLAIN: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "7"}]},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [TOOL],
}


def mark(chat: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The chat with an unknown member in every object, and what the members are called in the
    report."""
    marked = deepcopy(chat)
    names = set()
    for message in marked["messages"]:
        message["mood"] = [MARK]
        names.add("messages.mood")
        for part in message["content"] if isinstance(message["content"], list) else ():
            part["lang"] = {"is": MARK}
            names.add("messages.content.lang")
        for call in message.get("tool_calls", ()):
            call["state"] = call["function"]["took"] = MARK
            names |= {"messages.tool_calls.state", "messages.tool_calls.function.took"}
    for tool in marked.get("tools", ()):
        tool["defer"] = tool["function"]["returns"] = MARK
        names |= {"tools.defer", "tools.function.returns"}
    return marked, sorted(names)


def build_target(wire: str, quirks: Quirks | None = None, model: str = "m", **more: Any) -> Target:
    options = {"region": "eu-west-1", "project": "p", "location": "global"}
    url = more.pop("url", "https://api.example/v1")
    provider = Provider("p", wire, url, options=options, quirks=quirks or Quirks(), **more)
    return Target(provider, model)


def build(wire: str, chat: dict[str, Any], target: Target | None = None) -> Any:
    before, request = deepcopy(chat), deepcopy(chat)
    built = DIALECTS[wire].request(request, target or build_target(wire))  # type: ignore[arg-type]
    assert request == before, "what the client wrote is not changed"
    return built


# --- members -------------------------------------------------------------------------------------


@each("wire", OTHER_WIRES)
def test_another_wire_leaves_them_out_and_reports_each_name_once(wire: str) -> None:
    marked, names = mark(PLAIN)
    plain, request = build(wire, PLAIN), build(wire, marked)
    assert request.body == plain.body
    assert sorted(request.omitted) == sorted({*plain.omitted, *names})


@each("way", ["request", "forward"])
def test_the_same_wire_gets_them_as_they_were_written(way: str) -> None:
    marked, _ = mark(PLAIN)
    chat: Any = deepcopy(marked)
    built = getattr(DIALECTS["openai"], way)(chat, build_target("openai"))
    assert built.body == marked
    assert built.omitted == ()


@each("preset", [name for name, preset in PRESETS.items() if preset.dialect == "openai"])
def test_every_vendor_of_the_same_wire_gets_them(preset: str) -> None:
    marked, names = mark(PLAIN)
    quirks = PRESETS[preset].quirks
    if not {"tools", "tool_choice"}.isdisjoint(quirks.unsupported):
        del marked["tools"], marked["messages"][2:4]
    request = build("openai", marked, build_target("openai", quirks))
    lost = [] if quirks.text_parts else [name for name in names if "content" in name]
    sent, written = json.dumps(request.body), json.dumps(marked)
    assert sent.count(MARK) == written.count(MARK) - written.count('"lang"') * len(lost)
    assert sorted(set(request.omitted) & set(names)) == lost


def test_a_kind_of_member_is_one_of_the_unified_format() -> None:
    assert set().union(*ROLE_MEMBERS.values()) == get_type_hints(Message).keys()
    assert set(CALL_MEMBERS) | {"id", "type", "extra_content"} == get_type_hints(ToolCall).keys()


@each("role", ["system", "developer", "user", "tool", "function"])
@each("wire", OTHER_WIRES)
def test_a_member_of_another_role_means_nothing(wire: str, role: str) -> None:
    own = {"name": "f"} if role == "function" else {}
    own |= {"tool_call_id": "call_1"} if role == "tool" else {}
    message = {"role": role, "content": "7", **own}
    answer = {"role": "assistant", "content": "So.", "tool_calls": [CALL]}
    before = [{"role": "user", "content": "Hi"}, *([answer] if role == "tool" else [])]
    wrong = {"tool_calls": [{**CALL, "id": "c2"}], "reasoning_content": "hm", "refusal": "no"}
    plain = build(wire, {"model": "m", "messages": [*before, message]})
    request = build(wire, {"model": "m", "messages": [*before, {**message, **wrong}]})
    assert request.body == plain.body
    assert {f"messages.{name}" for name in wrong} <= set(request.omitted)


def test_the_report_is_bounded_and_a_header_can_carry_it() -> None:
    message = {"role": "user", "content": "Hi", **{f"m{number}": 1 for number in range(500)}}
    odd = {"role": "user", "content": "Hi", "a\r\nb: c" + "x" * 100: 1}
    stripped, names = strip_unknown_members({"messages": [message, odd]})
    assert len(names) == MAX_NAMES
    assert stripped == {"messages": [{"role": "user", "content": "Hi"}] * 2}
    (name,) = strip_unknown_members({"messages": [odd]})[1]
    assert name.startswith("messages.a??b??cx")
    assert len(name) == len("messages.") + 50


# --- types ---------------------------------------------------------------------------------------

HOLOGRAM = {"type": "hologram", "hologram": {"url": "data:,x"}}


@each("wire", OTHER_WIRES)
@each(
    "fields, path",
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, HOLOGRAM]}]},
            "messages[0].content[1].type",
        ),
        (
            {"messages": [PLAIN["messages"][1]], "tools": [TOOL, {"type": "browser"}]},
            "tools[1].type",
        ),
    ],
)
def test_an_unknown_type_makes_another_wire_unsuitable(
    wire: str, fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(UnsupportedField) as refused:
        build(wire, {"model": "m", **fields})
    assert refused.value.param == path


@each("way", ["request", "forward"])
def test_the_same_wire_gets_an_unknown_type(way: str) -> None:
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": [HOLOGRAM]}],
        "tools": [{"type": "browser", "depth": 2}],
    }
    assert getattr(DIALECTS["openai"], way)(chat, build_target("openai")).body == chat


# --- what nothing unknown may do -----------------------------------------------------------------

HIDDEN: dict[str, Any] = {
    "a message": {"messages": [{"role": "user", "content": "Hi", "x": "http://10.0.0.1/"}]},
    "a part": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi", "x": {"y": "http://10.0.0.1/"}}],
            }
        ]
    },
    "a part of an unknown type": {
        "messages": [{"role": "user", "content": [{"type": "x", "x": "http://10.0.0.1/"}]}]
    },
    "a call": {
        "messages": [
            {"role": "assistant", "content": "a", "tool_calls": [{**CALL, "x": "http://10.0.0.1/"}]}
        ]
    },
    "a function of a call": {
        "messages": [
            {
                "role": "assistant",
                "content": "a",
                "tool_calls": [
                    {**CALL, "function": {**CALL["function"], "x": ["http://10.0.0.1/"]}}
                ],
            }
        ]
    },
    "a tool": {"tools": [{**TOOL, "server_url": "http://10.0.0.1/"}]},
    "a function": {"tools": [{**TOOL, "function": {"name": "f", "x": "http://10.0.0.1/"}}]},
    "a tool of an unknown type": {"tools": [{"type": "mcp", "server_url": "http://10.0.0.1/"}]},
}


@each("place", HIDDEN)
@each("way", ["request", "forward"])
def test_a_provider_in_the_sites_network_gets_no_address_in_them(way: str, place: str) -> None:
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **HIDDEN[place]}
    target = build_target("openai", url="http://127.0.0.1:9/v1")
    body = getattr(DIALECTS["openai"], way)(chat, target).body
    with pytest.raises(UnsupportedField, match="must not fetch URLs"):
        refuse_addresses(body, chat, target.provider)


@each("place", HIDDEN)
@each("way", ["request", "forward"])
def test_they_name_nothing_that_a_provider_stores(way: str, place: str) -> None:
    text = json.dumps(HIDDEN[place]).replace("http://10.0.0.1/", "gs://bucket/a.pdf")
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **json.loads(text)}
    with pytest.raises(UnsupportedField, match="OWN_ACCOUNT"):
        getattr(DIALECTS["openai"], way)(chat, build_target("openai"))


@each("way", ["request", "forward"])
def test_a_tool_names_no_model(way: str) -> None:
    chat: Any = {**PLAIN, "tools": [{"type": "advisor", "Model": "gpt-x"}]}
    with pytest.raises(UnsupportedField) as refused:
        getattr(DIALECTS["openai"], way)(chat, build_target("openai"))
    assert refused.value.param == "tools[0].Model"


# --- OpenAI's mark of a cached prefix ------------------------------------------------------------

BREAKPOINT = "messages.content.prompt_cache_breakpoint"


def marked_part(**mark: Any) -> dict[str, Any]:
    part = {"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit", **mark}}
    return {"model": "m", "messages": [{"role": "user", "content": [part]}]}


@each(
    "mark, cache_control, omitted",
    [
        ({}, {"type": "ephemeral"}, []),
        ({"ttl": "30m"}, {"type": "ephemeral", "ttl": "1h"}, []),
        ({"ttl": "12h"}, {"type": "ephemeral"}, [f"{BREAKPOINT}.ttl"]),
    ],
)
def test_anthropic_and_bedrock_get_their_own_mark(
    mark: dict[str, Any], cache_control: dict[str, Any], omitted: list[str]
) -> None:
    request = build("anthropic", marked_part(**mark))
    assert request.body["messages"][0]["content"] == [
        {"type": "text", "text": "Hi", "cache_control": cache_control}
    ]
    assert [name for name in request.omitted if "cache" in name] == omitted
    target = build_target("bedrock", model="anthropic.claude-opus-4-8-v1:0")
    request = build("bedrock", marked_part(**mark), target)
    ttl = {"ttl": cache_control["ttl"]} if "ttl" in cache_control else {}
    assert request.body["messages"][0]["content"] == [
        {"text": "Hi"},
        {"cachePoint": {"type": "default", **ttl}},
    ]
    assert [name for name in request.omitted if "cache" in name] == omitted


@each("wire", ["openai", "openai_responses"])
def test_openai_gets_its_mark(wire: str) -> None:
    mark = {"mode": "explicit", "ttl": "12h"}
    request = build(wire, marked_part(ttl="12h"), build_target(wire, model="gpt-5.6"))
    (message,) = request.body["messages" if wire == "openai" else "input"]
    assert message["content"][0]["prompt_cache_breakpoint"] == mark
    assert request.omitted == ()


@each("wire", ["gemini", "cohere", "ollama"])
def test_a_wire_without_such_marks_reports_it(wire: str) -> None:
    assert BREAKPOINT in build(wire, marked_part()).omitted


@each("preset, sent", [("groq", {}), ("openrouter", {"cache_control": {"type": "ephemeral"}})])
def test_a_vendor_of_openais_wire_gets_what_it_takes(preset: str, sent: dict[str, Any]) -> None:
    target = build_target("openai", PRESETS[preset].quirks)
    request = build("openai", marked_part(), target)
    (part,) = request.body["messages"][0]["content"]
    assert part == {"type": "text", "text": "Hi", **sent}
    assert request.omitted == (() if sent else (BREAKPOINT,))
