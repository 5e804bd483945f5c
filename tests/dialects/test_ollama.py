"""What the recordings of Ollama do not cover: replies sent back, malformed
lines."""

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
RECORDINGS = [
    json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "recordings" / "ollama").glob("*.json"))
]
WEATHER = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}


def build_turns(*messages: Any) -> Any:
    chat: ChatRequest = {"model": "o", "messages": list(messages)}
    return DIALECT.request(chat, TARGET).body["messages"]


def read_message(**message: Any) -> Any:
    return DIALECT.response(
        {"message": {"role": "assistant", "content": "", **message}, "done": True}, TARGET
    )["choices"][0]["message"]


# --- tool calls ----------------------------------------------------------------------------------


def test_a_result_gets_the_name_of_its_call() -> None:
    now = {"id": "c2", "function": {"name": "now", "arguments": {}}}
    message = read_message(tool_calls=[{"id": "c1", **WEATHER}, now])
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "x"}
        for call in reversed(message["tool_calls"])
    ]
    turns = build_turns({"role": "user", "content": "Hi"}, message, *results)
    assert [turn["tool_name"] for turn in turns[2:]] == ["now", "weather"]


@pytest.mark.parametrize(
    "case",
    [case for case in RECORDINGS if "reply" in case],
    ids=lambda case: case["reply"]["model"],
)
def test_a_reply_is_sent_back_as_it_came(case: dict[str, Any]) -> None:
    message = case["reply"]["message"]
    [turn] = build_turns(read_message(**message))
    for name in ("content", "thinking", "images"):
        assert turn.get(name) == message.get(name), name
    sent = [
        (call["function"]["name"], call["function"]["arguments"])
        for call in turn.get("tool_calls", ())
    ]
    expected = [
        (call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]
    assert sent == [
        (name, {"_raw": value} if isinstance(value, str) else value or {})
        for name, value in expected
    ]


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_has_its_time_and_model() -> None:
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
def test_an_invalid_time_is_zero(created_at: Any) -> None:
    assert (
        DIALECT.response(
            {"created_at": created_at, "message": {"content": "x"}, "done": True}, TARGET
        )["created"]
        == 0
    )


def read_chunks(*lines: Any) -> list[Any]:
    parser = DIALECT.stream(TARGET)
    chunks = [chunk for line in lines for chunk in parser.feed(Event("", json.dumps(line)))]
    return [*chunks, *parser.close()]


def test_all_chunks_have_one_time_and_one_model() -> None:
    pieces = [
        {"model": "m", "created_at": f"2025-10-26T17:15:2{second}Z", "message": {"content": "x"}}
        for second in range(3)
    ]
    chunks = read_chunks(
        *pieces, {"model": "m", "created_at": "2025-10-26T17:15:29Z", "done": True}
    )
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
def test_empty_lines_are_ignored(line: Any) -> None:
    [choice] = fold(read_chunks(line, {"message": {"content": "Hi"}}, line, {"done": True}, line))
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
