"""What the recordings of Ollama cannot say: ids over turns, replies sent back, lines that are not
as they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.types import ChatRequest, Event, Provider, Target
from tests.dialects.stream_folding import fold

DIALECT = DIALECTS["ollama"]
TARGET = Target(Provider("p", "ollama", "http://127.0.0.1:11434"), "qwen3")
RECORDED = [
    json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "recordings" / "ollama").glob("*.json"))
]
WEATHER = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}


def turns_of(*messages: Any) -> Any:
    chat: ChatRequest = {"model": "o", "messages": list(messages)}
    return DIALECT.request(chat, TARGET).body["messages"]


def reply_of(**message: Any) -> Any:
    return DIALECT.response(
        {"message": {"role": "assistant", "content": "", **message}, "done": True}, TARGET
    )["choices"][0]["message"]


def ids_of(*calls: Any) -> list[str]:
    return [call["id"] for call in reply_of(tool_calls=list(calls))["tool_calls"]]


# --- tool calls --------------------------------------------------------------------------------------------


def test_calls_without_ids_get_some_of_their_own() -> None:
    ids = ids_of(WEATHER, WEATHER, {"function": {"name": "now", "arguments": {}}})
    assert len(set(ids)) == 3
    assert ids == ids_of(WEATHER, WEATHER, {"function": {"name": "now", "arguments": {}}})


def test_another_call_has_another_id() -> None:
    assert ids_of(WEATHER) != ids_of(
        {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
    )


def test_a_result_finds_the_name_of_its_call_by_the_id_that_was_made() -> None:
    message = reply_of(tool_calls=[WEATHER, {"function": {"name": "now", "arguments": {}}}])
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in reversed(message["tool_calls"])
    ]
    turns = turns_of({"role": "user", "content": "Hi"}, message, *results)
    assert [turn["tool_name"] for turn in turns[2:]] == ["now", "weather"]


@pytest.mark.parametrize(
    "case", [case for case in RECORDED if "reply" in case], ids=lambda case: case["reply"]["model"]
)
def test_a_reply_goes_back_as_it_came(case: dict[str, Any]) -> None:
    message = case["reply"]["message"]
    [turn] = turns_of(reply_of(**message))
    for name in ("content", "thinking", "images"):
        assert turn.get(name) == message.get(name), name
    sent = [
        (call["function"]["name"], call["function"]["arguments"])
        for call in turn.get("tool_calls", ())
    ]
    given = [
        (call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]
    assert sent == [
        (name, {"_raw": value} if isinstance(value, str) else value or {}) for name, value in given
    ]


# --- replies -----------------------------------------------------------------------------------------------


def test_the_time_and_the_model_are_told() -> None:
    reply = DIALECT.response(
        {
            "model": "m",
            "created_at": "2025-10-26T17:15:24.097767123Z",
            "message": {"content": "x"},
            "done": True,
        },
        TARGET,
    )
    assert (reply["created"], reply["model"]) == (1761498924, "m")


@pytest.mark.parametrize("created_at", [None, "", "yesterday", 3])
def test_a_time_that_is_none_is_left_to_the_gateway(created_at: Any) -> None:
    assert (
        DIALECT.response(
            {"created_at": created_at, "message": {"content": "x"}, "done": True}, TARGET
        )["created"]
        == 0
    )


def chunks_of(*lines: Any) -> list[Any]:
    parser = DIALECT.stream(TARGET)
    chunks = [chunk for line in lines for chunk in parser.feed(Event("", json.dumps(line)))]
    return [*chunks, *parser.close()]


def test_a_stream_has_one_time_and_one_model() -> None:
    pieces = [
        {"model": "m", "created_at": f"2025-10-26T17:15:2{second}Z", "message": {"content": "x"}}
        for second in range(3)
    ]
    chunks = chunks_of(*pieces, {"model": "m", "created_at": "2025-10-26T17:15:29Z", "done": True})
    assert {(chunk["created"], chunk["model"]) for chunk in chunks} == {(1761498920, "m")}


@pytest.mark.parametrize(
    "line",
    [
        [],
        3,
        {},
        {"message": None},
        {"message": {}},
        {"message": {"content": None}},
        {"status": "pulling"},
    ],
    ids=str,
)
def test_lines_with_nothing_in_them_are_harmless(line: Any) -> None:
    [choice] = fold(chunks_of(line, {"message": {"content": "Hi"}}, line, {"done": True}, line))
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
