"""Tool calls of OpenAI's family, streamed in every way that was seen in practice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.types import Event, Provider, Target
from tests.cases import each
from tests.dialects.reply_reading import read_reply, read_stream, replay

TARGET = Target(Provider("p", "openai", "http://127.0.0.1/v1"), "m")


def build_piece(arguments: Any, name: str | None = None, **rest: Any) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{**rest, "type": "function", "function": function}]}


def fold_calls(*deltas: dict[str, Any]) -> list[Any]:
    """The (id, name, arguments) of the calls in these deltas, joined as OpenAI's client does."""
    parser = DIALECTS["openai"].stream(TARGET)
    events = [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks = [chunk for event in events for chunk in parser.feed(Event("", json.dumps(event)))]
    chunks += parser.feed(Event("", "[DONE]"))
    calls: dict[int, dict[str, str]] = {}
    for part in [
        part
        for chunk in chunks
        for choice in chunk["choices"]
        for part in choice["delta"].get("tool_calls", ())
    ]:
        call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] += part.get("id", "")
        for name, text in part.get("function", {}).items():
            call[name] += text
    return [tuple(calls[index].values()) for index in sorted(calls)]


ONE = [("x", "f", '{"a":1}')]
BEGIN = build_piece('{"a":', "f", index=0, id="x")

CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "the id and the name again": ([BEGIN, build_piece("1}", "f", index=0, id="x")], ONE),
    "an empty id and name": ([BEGIN, build_piece("1}", "", index=0, id="")], ONE),
    "another id each time": ([BEGIN, build_piece("1}", index=0, id="y")], ONE),
    "one index for all": (
        [build_piece("{}", "f", index=0, id="x"), build_piece("{}", "f", index=0, id="y")],
        [("x", "f", "{}"), ("y", "f", "{}")],
    ),
    "a name in pieces": (
        [build_piece("", "get_", index=0, id="x"), build_piece("{}", "it", index=0)],
        [("x", "get_it", "{}")],
    ),
    "neither index nor id": (
        [build_piece("{}", "f"), build_piece("{}", "f")],
        [("", "f", "{}"), ("", "f", "{}")],
    ),
    "no index, the rest without an id": (
        [build_piece('{"a":', "f", id="x"), build_piece("1}")],
        ONE,
    ),
    "no index, the rest with its id": (
        [build_piece('{"a":', "f", id="x"), build_piece("1}", id="x")],
        ONE,
    ),
    "one id for two calls": (
        [build_piece("{}", "f", index=0, id="x"), build_piece("{}", "g", index=1, id="x")],
        [("x", "f", "{}"), ("x_1", "g", "{}")],
    ),
    "indexes that count other blocks": (
        [build_piece("{}", "f", index=3, id="x"), build_piece("{}", "g", index=7, id="y")],
        [("x", "f", "{}"), ("y", "g", "{}")],
    ),
    "arguments null": ([build_piece(None, "f", index=0, id="x")], [("x", "f", "{}")]),
    "arguments empty": ([build_piece("", "f", index=0, id="x")], [("x", "f", "{}")]),
    "arguments an object": ([build_piece({"a": 1}, "f", index=0, id="x")], ONE),
    "arguments that are not JSON": (
        [build_piece("{not json", "f", index=0, id="x")],
        [("x", "f", "{not json")],
    ),
    "the legacy function_call": (
        [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
        [("", "f", "{}")],
    ),
}


@pytest.mark.parametrize(("deltas", "calls"), CASES.values(), ids=CASES)
def test_repeated_ids_and_names_are_sent_once(deltas: list[Any], calls: list[Any]) -> None:
    assert fold_calls(*deltas) == calls


def test_calls_of_a_complete_reply_have_unique_ids() -> None:
    calls = [
        {"function": {"name": "f", "arguments": "{}"}},
        {"id": "x", "function": {"name": "f", "arguments": None}},
        {"id": "x", "function": {"name": "g", "arguments": {}}},
    ]
    body = {
        "id": "c",
        "choices": [{"message": {"content": "", "tool_calls": calls}, "finish_reason": "stop"}],
    }
    [choice] = DIALECTS["openai"].response(body, TARGET)["choices"]
    calls = choice["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("", "{}"),
        ("x", "{}"),
        ("x_2", "{}"),
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None


def build_event(call: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": reason}
    return {"id": "c", "choices": [choice]}


def build_body(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "tool_calls": list(calls)}
    return {
        "id": "c",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }


F = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_members_of_a_call_that_nobody_knows_are_passed_on_once() -> None:
    members = {"status": "completed", "thought_signature": "s", "parallel_group": 3}
    function = {**F["function"], "strict": True}
    call = {**F, **members, "function": function, "unset": None}
    (read,) = read_reply("openai", build_body(call))["choices"][0]["message"]["tool_calls"]
    assert read == {**F, **members, "function": function}
    events = [
        build_event({**call, "index": 0, "function": {**function, "arguments": '{"a"'}}),
        build_event({**members, "index": 0, "function": {"arguments": ": 1}", "strict": True}}),
        "[DONE]",
    ]
    (read,) = read_stream("openai", events)[0]["message"]["tool_calls"]
    assert read == {**F, **members, "function": {**function, "arguments": '{"a": 1}'}}


@each(
    "kind",
    [
        "web_search_call", "x_search_call", "code_interpreter_call", "web_search_tool", "mcp_tool",
        "TOOL_CALL_TYPE_X_SEARCH_TOOL", "web_browser", "code_interpreter", "retrieval",
    ],
)  # fmt: skip
def test_calls_that_the_provider_runs_are_not_the_clients(kind: str) -> None:
    call = {"id": "s", "type": kind, "function": {"name": "x", "arguments": '{"q": 1}'}}
    block = {"server_tool_calls": [call]}
    expected = [{"format": "openai", "index": 0, "block": block, "issued_by": "p"}]
    choice = read_reply("openai", build_body(call, content="Found."))["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["provider_content"] == expected
    events = [
        build_event({**call, "index": 0, "function": {"name": "x", "arguments": ""}}),
        build_event({"index": 0, "function": {"arguments": '{"q": 1}'}}),
        build_event({**call, "index": 0}),
        build_event({**F, "index": 1}, "tool_calls"),
        "[DONE]",
    ]
    message = read_stream("openai", events)[0]["message"]
    assert message["tool_calls"] == [F]
    assert message["provider_content"] == expected
    assert "server_tool_calls" not in json.dumps(replay("openai", message))


@each("kind", ["function", "", None, "builtin_function", "tool_call", "new"])
def test_calls_of_any_other_type_are_the_clients(kind: Any) -> None:
    message = read_reply("openai", build_body({**F, "type": kind}))["choices"][0]["message"]
    assert message["tool_calls"] == [F]
