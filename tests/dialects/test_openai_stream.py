"""Streams of the OpenAI wire, cut anywhere, fold into what the complete reply says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.engine import sse
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Target
from tests.dialects.folding import fold

DIALECT = DIALECTS["openai"]
TARGET = Target(Provider("p", "openai", "http://127.0.0.1/v1"), "m")


def data(delta: dict[str, Any] | None = None, reason: str | None = None, index: int = 0, **rest: Any) -> str:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": reason}]
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': choices, **rest})}\n\n"


def call(index: Any, arguments: str, **first: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": first.pop("name")} if "name" in first else {})}
    return {"tool_calls": [{"index": index, **first, "function": function}]}


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}

STREAM = (
    ": PROCESSING\n\n"
    + data(usage=None, prompt_filter_results=[])
    + data({"role": "assistant", "content": ""})
    + data({"reasoning_content": "Let me "})
    + data({"reasoning": "think 🤔."})
    + data({"content": "Grüße, "})
    + data({"content": "say data: [DONE]"})
    + data(call(3, "", id="call_a", type="function", name="weather"))
    + data(call(3, '{"city": '))
    + data(call(3, '"Zürich"}'))
    + data(call(5, "{}", id="call_b", type="function", name="time"))
    + data({"role": "assistant", "content": "other"}, index=1)
    + data({}, "tool_calls")
    + data({}, "tool_calls")
    + data({}, "max_tokens", index=1)
    + data(usage=USAGE)
    + "data: [DONE]\n\n"
).encode()

FOLDED = [
    {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "Grüße, say data: [DONE]",
            "reasoning_content": "Let me think 🤔.",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}},
                {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        "finish_reason": "tool_calls",
    },
    {"index": 1, "message": {"role": "assistant", "content": "other"}, "finish_reason": "length"},
]


def parsed(pieces: list[bytes]) -> tuple[list[Any], Any]:
    decoder, parser = sse.Decoder(), DIALECT.stream(TARGET)
    chunks = [chunk for piece in pieces for event in decoder.feed(piece) for chunk in parser.feed(event)]
    chunks += [chunk for event in decoder.close() for chunk in parser.feed(event)]
    return [*chunks, *parser.close()], parser.usage


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere_folds_into_the_same_reply(cut: int) -> None:
    chunks, usage = parsed([STREAM[:cut], STREAM[cut:]])
    assert fold(chunks) == FOLDED
    assert usage == USAGE
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)


def test_the_complete_reply_says_the_same() -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    choices = [json.loads(json.dumps(choice)) for choice in FOLDED]
    choices[0]["message"]["reasoning"] = choices[0]["message"].pop("reasoning_content")
    choices[1]["finish_reason"] = "max_tokens"
    assert DIALECT.response({**body, "choices": choices}, TARGET)["choices"] == FOLDED


@pytest.mark.parametrize("cut", [0, 30, 200, STREAM.index(b"max_tokens") - 60])
def test_a_stream_that_breaks_off_is_not_taken_for_a_whole_one(cut: int) -> None:
    truncated = STREAM[:cut].rpartition(b"\n\n")[0] + b"\n\n"
    if b'"tool_calls"}' not in truncated:
        with pytest.raises(UpstreamError, match="ended before"):
            parsed([truncated])


@pytest.mark.parametrize(
    "event",
    [
        Event("", '{"error": {"message": "overloaded"}}'),
        Event("", '{"object": "error", "message": "overloaded", "code": 500}'),
        Event("error", '{"message": "overloaded"}'),
        Event("", '{"error": "overloaded"}'),
        Event("", "not json"),
        Event("", "[1, 2]"),
    ],
)
def test_an_error_inside_the_stream_is_an_error(event: Event) -> None:
    with pytest.raises(UpstreamError):
        list(DIALECT.stream(TARGET).feed(event))


def test_usage_inside_x_groq_is_found() -> None:
    _, usage = parsed([(data({"content": "x"}) + data({}, "stop", x_groq={"usage": USAGE}) + "data: [DONE]\n\n").encode()])
    assert usage == USAGE


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    first = {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    second = {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}
    chunks, _ = parsed([(data(first) + data(second) + data({}, "stop")).encode()])
    [choice] = fold(chunks)
    assert [item["id"] for item in choice["message"]["tool_calls"]] == ["a", "b"]
    assert choice["finish_reason"] == "tool_calls"
