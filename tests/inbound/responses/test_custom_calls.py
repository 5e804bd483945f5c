"""Custom tools at providers that have functions only: the tool becomes a function with one string,
and its calls come back as calls of the custom tool, complete and streamed in any pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from native_api.inbound.openai.responses.custom_calls import InputReader
from tests.cases import each
from tests.inbound.responses.request_reading import FORMAT, parse, unify

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
TOOL = {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": GRAMMAR}
PATCH = '*** Begin "Patch"\n\\ +é😀\n'


def write_pieces(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(0, len(text), length))


def call(arguments: str, **members: Any) -> dict[str, Any]:
    function = {"name": "apply_patch", "arguments": arguments}
    return {"id": "c1", "type": "function", "function": function, **members}


def complete(*calls: Any) -> Any:
    message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "x", "created": 1, "model": "m", "choices": [choice]}


def chunk(delta: Any, reason: str | None = None) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "x", "created": 1, "model": "m", "choices": [choice]}


def read_events(written: bytes) -> list[Any]:
    return [
        json.loads(line.removeprefix("data: "))
        for line in written.decode().splitlines()
        if line.startswith("data: ")
    ]


def test_the_tool_is_a_function_that_has_the_grammar_in_its_description() -> None:
    unified, omitted = unify(tools=[TOOL])
    (tool,) = unified["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "apply_patch"
    assert tool["function"]["description"] == (
        "Edits.\n\nThe input has to match this lark grammar:\n\nstart: /.+/"
    )
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert omitted == ["tools.format"]


def test_a_tool_for_any_text_loses_nothing() -> None:
    tool = {"type": "custom", "name": "say", "format": {"type": "text"}}
    choice = {"type": "custom", "name": "say"}
    unified, omitted = unify(tools=[tool], tool_choice=choice)
    assert unified["tool_choice"] == {"type": "function", "function": {"name": "say"}}
    assert omitted == []


def test_an_earlier_call_is_one_of_the_function() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH}
    result = {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."}
    unified, _ = unify(input=[{"role": "user", "content": "Hi"}, item, result], tools=[TOOL])
    _, answer, output = unified["messages"]
    assert answer["tool_calls"][0]["type"] == "function"
    assert json.loads(answer["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}
    assert output == {"role": "tool", "tool_call_id": "c1", "content": "Done."}


def test_an_earlier_call_of_a_tool_that_is_gone_stays_one() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "name": "old", "input": "x"}
    unified, _ = unify(input=[{"role": "user", "content": "Hi"}, item])
    assert unified["messages"][1]["tool_calls"][0]["custom"] == {"name": "old", "input": "x"}


WRITTEN = (
    json.dumps({"input": PATCH}),
    json.dumps({"input": PATCH}, ensure_ascii=False, indent=2),
)


@each("arguments", WRITTEN)
def test_a_complete_reply_has_a_custom_call(arguments: str) -> None:
    parsed = parse(tools=[TOOL])
    response = json.loads(FORMAT.reply(parsed, complete(call(arguments))))
    (item,) = response["output"]
    assert (item["type"], item["call_id"], item["name"]) == (
        "custom_tool_call",
        "c1",
        "apply_patch",
    )
    assert item["input"] == PATCH


def test_other_calls_stay_as_they_are() -> None:
    parsed = parse(tools=[TOOL, {"type": "function", "name": "f"}])
    other = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    response = json.loads(FORMAT.reply(parsed, complete(other, call('{"input":"x"}'))))
    assert [item["type"] for item in response["output"]] == ["function_call", "custom_tool_call"]


@each("arguments", WRITTEN)
@each("length", [1, 2, 5, 1000])
def test_a_stream_has_the_same_call(length: int, arguments: str) -> None:
    parsed = parse(tools=[TOOL], stream=True)
    writer = FORMAT.stream(parsed)
    chunks = [chunk({"role": "assistant"}), chunk({"tool_calls": [call("", index=0)]})]
    chunks += [
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        for piece in write_pieces(arguments, length)
    ]
    events = read_events(writer.feed([*chunks, chunk({}, "tool_calls")]) + writer.close())
    deltas = [event["delta"] for event in events if event["type"].endswith("input.delta")]
    assert "".join(deltas) == PATCH
    assert len(deltas) > 1 or length == 1000
    (item,) = events[-1]["response"]["output"]
    assert item["type"] == "custom_tool_call"
    assert item["input"] == PATCH


@given(st.text(), st.booleans(), st.integers(1, 9))
def test_any_text_is_read_in_any_pieces(text: str, is_ascii: bool, length: int) -> None:
    reader = InputReader()
    written = json.dumps({"input": text}, ensure_ascii=is_ascii)
    read = "".join(map(reader.add, write_pieces(written, length))) + reader.finish()
    assert read == text.encode("utf-8", "replace").decode()


@each(
    "arguments, text",
    [
        ("*** Begin", "*** Begin"),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ('{"input": 5}', '{"input": 5}'),
        ('{"inp', '{"inp'),
        ('{"input": "cut', "cut"),
        ('{"input": "a\nb"}', "a\nb"),
        ('{"input": "a\\', "a"),
        ("{}", ""),
        ("", ""),
        (" " * 200, ""),
    ],
)
@each("length", [1, 3, 1000])
def test_what_a_model_writes_instead_is_not_lost(length: int, arguments: str, text: str) -> None:
    reader = InputReader()
    read = "".join(map(reader.add, write_pieces(arguments, length))) + reader.finish()
    assert read.strip() == text
