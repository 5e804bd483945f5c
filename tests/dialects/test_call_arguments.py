"""The arguments of a call are JSON that clients can parse, and are said once, on every wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cases import each
from tests.dialects.call_replies import COMPLETE, STREAMED, VALUES
from tests.dialects.reply_reading import read_reply, read_stream, replay

WHOLE = '{"path": "/a"}'
NO_ARGUMENTS = ["", " ", "\n", "null", " null ", "{}", " {} "]


def read_arguments(choices: Any) -> str:
    (call,) = choices[0]["message"]["tool_calls"]
    arguments: str = call["function"]["arguments"]
    return arguments


@pytest.mark.parametrize("wire", COMPLETE)
@each("arguments", [*NO_ARGUMENTS, None])
def test_no_arguments_are_an_empty_object(wire: str, arguments: Any) -> None:
    # Cohere sends `null` for a function without parameters (recorded 2026-08).
    choices = read_reply(wire, COMPLETE[wire](arguments))["choices"]
    assert json.loads(read_arguments(choices)) == {}


@pytest.mark.parametrize("wire", COMPLETE)
@each("value", [{"a": None}, {"a": "null"}, {"null": {}}])
def test_arguments_that_only_look_empty_are_kept(wire: str, value: Any) -> None:
    sent = value if wire in VALUES else json.dumps(value)
    assert json.loads(read_arguments(read_reply(wire, COMPLETE[wire](sent))["choices"])) == value


@pytest.mark.parametrize("wire", STREAMED)
@each("pieces", [[], *([text] for text in NO_ARGUMENTS), ["nu", "ll"], ["", "null", "\n"]])
def test_no_streamed_arguments_are_an_empty_object(wire: str, pieces: list[str]) -> None:
    choices = read_stream(wire, STREAMED[wire](None, pieces))
    assert json.loads(read_arguments(choices)) == {}


@pytest.mark.parametrize("wire", STREAMED)
@each("placeholder", ["null", "{}", " {}", ""])
def test_a_placeholder_gives_way_to_the_arguments(wire: str, placeholder: str) -> None:
    # https://github.com/microsoft/autogen/pull/7549 and https://github.com/ogx-ai/ogx/pull/5462
    whole = None if wire in VALUES else placeholder
    pieces = [placeholder] if wire not in ("cohere", "openai") else []
    choices = read_stream(wire, STREAMED[wire](whole, [*pieces, WHOLE[:5], WHOLE[5:]]))
    assert read_arguments(choices) == WHOLE


@pytest.mark.parametrize("wire", STREAMED)
@each("pieces", [[], [WHOLE], [WHOLE[:5], WHOLE[5:]], ["", *WHOLE]])
def test_arguments_at_the_beginning_and_again_in_pieces_are_said_once(
    wire: str, pieces: list[str]
) -> None:
    # https://github.com/earendil-works/pi/issues/2593
    whole = json.loads(WHOLE) if wire in VALUES else WHOLE
    choices = read_stream(wire, STREAMED[wire](whole, pieces))
    assert json.loads(read_arguments(choices)) == json.loads(WHOLE)


@pytest.mark.parametrize("wire", STREAMED)
@each("pieces", [[WHOLE, WHOLE], [WHOLE[:5], WHOLE[5:], WHOLE], [WHOLE, *WHOLE]])
def test_whole_arguments_that_are_repeated_are_said_once(wire: str, pieces: list[str]) -> None:
    # https://github.com/lidge-jun/opencodex/issues/361
    assert read_arguments(read_stream(wire, STREAMED[wire](None, pieces))) == WHOLE


@pytest.mark.parametrize("wire", STREAMED)
@each("text", ['{"a": [{"b": 1}, {"c": {"d": 2}}]}', '{"a": "}{", "b": {}}', "[1]", "not JSON"])
def test_arguments_come_as_they_are_however_they_are_cut(wire: str, text: str) -> None:
    for size in (1, 3, len(text)):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert read_arguments(read_stream(wire, STREAMED[wire](None, pieces))) == text


def test_gemini_arguments_that_came_whole_are_not_added_to() -> None:
    def build(**call: Any) -> Any:
        parts = [{"functionCall": call}]
        return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}

    piece = {"jsonPath": "$.path", "stringValue": "/a"}
    events = [
        build(name="f", args={"path": "/a", "mode": "r"}, willContinue=True),
        build(partialArgs=[piece]),
    ]
    arguments = json.loads(read_arguments(read_stream("gemini", events)))
    assert arguments == {"path": "/a", "mode": "r"}


def test_two_calls_without_ids_under_one_index_stay_two() -> None:
    def build(arguments: str) -> Any:
        call = {"index": 0, "type": "function", "function": {"name": "f", "arguments": arguments}}
        return {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    events = [build('{"a": 1}'), build('{"a": 2}'), build('{"a": 2}'), "[DONE]"]
    calls = read_stream("openai", events)[0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"a": 1}', '{"a": 2}']
    assert [call["id"] for call in calls] == ["", ""]  # the gateway fills them in


# --- members that have no unified form ------------------------------------------------------------

CONTAINERS = {
    "anthropic": ("input",), "bedrock": ("input",), "gemini": ("args",), "cohere": ("function",),
    "ollama": ("function",), "openai_responses": ("arguments",),
}  # fmt: skip
"""A member that only the object of a call has."""


def walk_objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from walk_objects(item)


def find_call(wire: str, body: Any) -> dict[str, Any]:
    """The object of the first call in a body or in events."""
    (name,) = CONTAINERS[wire]
    return next(item for item in walk_objects(body) if name in item)


@pytest.mark.parametrize("wire", CONTAINERS)
def test_members_of_a_call_that_nobody_knows_go_back_to_its_wire(wire: str) -> None:
    body = COMPLETE[wire]({} if wire in VALUES else "{}")
    find_call(wire, body)["made_by"] = {"x": "y"}
    message = read_reply(wire, body)["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert call["extra_content"][wire]["made_by"] == {"x": "y"}
    body = replay(wire, message)
    turns = body.get("messages") or body.get("contents") or body.get("input")
    assert find_call(wire, turns)["made_by"] == {"x": "y"}
    other = "cohere" if wire != "cohere" else "anthropic"
    assert "made_by" not in json.dumps(replay(other, message))


@pytest.mark.parametrize("wire", sorted(STREAMED.keys() & CONTAINERS.keys()))
def test_members_of_a_streamed_call_that_nobody_knows_are_kept(wire: str) -> None:
    events = STREAMED[wire](None, ["{}"])
    data = [event[1] if isinstance(event, tuple) else event for event in events]
    first = next(item for item in walk_objects(data) if item.get("name") == "f")
    holder = first if wire != "cohere" else find_call(wire, data)
    holder["made_by"] = "x"
    (call,) = read_stream(wire, events)[0]["message"]["tool_calls"]
    assert call["extra_content"][wire]["made_by"] == "x"


@pytest.mark.parametrize("wire", COMPLETE)
@each("arguments", ["", " ", "null", " null ", "{}"])
def test_no_arguments_go_back_as_an_empty_object(wire: str, arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = json.dumps(replay(wire, {"role": "assistant", "content": None, "tool_calls": [call]}))
    assert "null " not in body
    assert '"null"' not in body
    assert "{}" in body
