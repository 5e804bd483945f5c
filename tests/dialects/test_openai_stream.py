"""Streams of the OpenAI wire, cut anywhere, fold into what the complete reply says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Quirks, Target
from native_api.upstream.decoders import sse
from tests.dialects.stream_folding import fold

DIALECT = DIALECTS["openai"]
TARGET = Target(Provider("p", "openai", "http://127.0.0.1/v1"), "m")


def data(
    delta: dict[str, Any] | None = None, reason: str | None = None, index: int = 0, **rest: Any
) -> str:
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
                {
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Zürich"}'},
                },
                {
                    "id": "call_b",
                    "type": "function",
                    "function": {"name": "time", "arguments": "{}"},
                },
            ],
        },
        "finish_reason": "tool_calls",
    },
    {"index": 1, "message": {"role": "assistant", "content": "other"}, "finish_reason": "length"},
]


def parsed(pieces: list[bytes]) -> tuple[list[Any], Any]:
    decoder, parser = sse.SSEDecoder(), DIALECT.stream(TARGET)
    chunks = [
        chunk for piece in pieces for event in decoder.feed(piece) for chunk in parser.feed(event)
    ]
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
    _, usage = parsed(
        [
            (
                data({"content": "x"})
                + data({}, "stop", x_groq={"usage": USAGE})
                + "data: [DONE]\n\n"
            ).encode()
        ]
    )
    assert usage == USAGE


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    first = {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    second = {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}
    chunks, _ = parsed([(data(first) + data(second) + data({}, "stop")).encode()])
    [choice] = fold(chunks)
    assert [item["id"] for item in choice["message"]["tool_calls"]] == ["a", "b"]
    assert choice["finish_reason"] == "tool_calls"


# --- what servers of the family do --------------------------------------------------------------------------


def folded(*events: str, done: bool = True) -> dict[str, Any]:
    """The one choice that these events mean."""
    chunks, _ = parsed([("".join(events) + ("data: [DONE]\n\n" if done else "")).encode()])
    [choice] = fold(chunks)
    return choice


@pytest.mark.parametrize("ending", [data({}, "stop"), data({}, "stop") * 2, data({}, ""), ""])
def test_a_stream_that_is_done_has_one_finish_reason(ending: str) -> None:
    assert folded(data({"content": "x"}), ending)["finish_reason"] == "stop"
    called = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    assert folded(data(called), ending)["finish_reason"] == "tool_calls"


def test_a_finish_reason_in_every_chunk_does_not_end_the_answer() -> None:
    assert (
        folded(data({"content": "a"}, "stop"), data({"content": "b"}, "stop"), done=False)[
            "message"
        ]["content"]
        == "ab"
    )


def test_one_of_two_choices_that_never_ends_is_a_stream_cut_short() -> None:
    with pytest.raises(UpstreamError, match="ended before"):
        folded(
            data({"content": "a"}), data({"content": "b"}, index=1), data({}, "stop"), done=False
        )


def test_a_stream_that_is_done_but_said_nothing_is_no_answer() -> None:
    with pytest.raises(UpstreamError):
        folded(data(usage=USAGE))


def test_a_new_finish_reason_is_a_stop() -> None:
    assert folded(data({"content": "x"}, "of_a_kind_yet_unknown"))["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "event",
    [
        data(choices=None),
        'data: {"choices": [{"index": 0, "delta": null}]}\n\n',
        'data: {"choices": [null]}\n\n',
        'data: {"type": "ping"}\n\n',
        "data: {}\n\n",
        data({"content": None}),
        data({"tool_calls": None, "reasoning_details": None, "annotations": None}),
    ],
)
def test_events_that_say_nothing_are_skipped(event: str) -> None:
    assert folded(data({"content": "a"}), event, data({"content": "b"}, "stop"))["message"] == {
        "role": "assistant",
        "content": "ab",
    }


def test_the_role_is_told_once_and_in_the_first_delta() -> None:
    roles = {"role": "assistant", "content": "a"}
    chunks, _ = parsed(
        [(data(roles) + data(roles) + data({}, "stop") + "data: [DONE]\n\n").encode()]
    )
    assert ["role" in chunk["choices"][0]["delta"] for chunk in chunks] == [True, False, False]
    assert folded(data({"content": "no role"}))["message"]["role"] == "assistant"


def test_usage_in_every_chunk_is_a_running_count() -> None:
    _, usage = parsed(
        [
            (
                data({"content": "x"}, usage={"prompt_tokens": 5, "completion_tokens": 1})
                + data({}, "stop", usage=USAGE)
            ).encode()
        ]
    )
    assert usage == USAGE


def test_what_is_told_outside_the_choices_goes_with_the_next_that_has_some() -> None:
    events = (
        data(prompt_filter_results=[1])
        + data({"content": "x"})
        + data({}, "stop")
        + data(usage=USAGE, timings={"n": 1})
        + "data: [DONE]\n\n"
    )
    chunks, _ = parsed([events.encode()])
    assert [sorted(chunk.keys() & {"prompt_filter_results", "timings"}) for chunk in chunks] == [
        ["prompt_filter_results"],
        ["timings"],
    ]


def test_a_whole_message_in_place_of_deltas_is_the_answer_unless_it_was_said() -> None:
    whole = {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}
        ]
    }
    event = f"data: {json.dumps(whole)}\n\n"
    assert folded(event)["message"]["content"] == "ab"
    assert (
        folded(data({"content": "a"}), data({"content": "b"}), event)["message"]["content"] == "ab"
    )


def test_the_finish_reason_leaves_with_done_not_with_the_end_of_the_connection() -> None:
    parser = DIALECT.stream(TARGET)
    [first] = parser.feed(Event("", data({"content": "x"}, "stop")[6:].strip()))
    assert first["choices"][0]["finish_reason"] is None
    [last] = parser.feed(Event("", "[DONE]"))
    assert last["choices"][0]["finish_reason"] == "stop"
    assert list(parser.close()) == []


TAGGED = Target(
    Provider("p", "openai", "http://127.0.0.1/v1", quirks=Quirks(reasoning_field="think_tags")), "m"
)


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>Hm.</think>\n\nYes", "Hm.", "Yes"),
        ("\n<think>\nHm.\n</think>Yes", "\nHm.\n", "Yes"),
        ("Yes, <think>is</think> a tag.", None, "Yes, <think>is</think> a tag."),
        ("<thin", None, "<thin"),
        ("<think>cut </thi", "cut </thi", None),
        ("<think></think>Yes", None, "Yes"),
    ],
)
def test_thinking_in_tags_is_told_from_the_answer_wherever_it_is_cut(
    text: str, thought: str | None, answer: str | None
) -> None:
    body = {
        "id": "c",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    }
    message = DIALECTS["openai"].response(body, TAGGED)["choices"][0]["message"]
    assert (message.get("reasoning_content"), message["content"]) == (thought, answer)
    for cut in range(len(text) + 1):
        parser = DIALECT.stream(TAGGED)
        events = [data({"content": text[:cut]}), data({"content": text[cut:]}), data({}, "stop")]
        chunks = [chunk for event in events for chunk in parser.feed(Event("", event[6:].strip()))]
        [choice] = fold([*chunks, *parser.close()])
        assert (choice["message"].get("reasoning_content"), choice["message"]["content"]) == (
            thought,
            answer,
        )


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "code": 500}, "choices": []},
        {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "no"}},
        {
            "choices": [
                {
                    "index": 0,
                    "message": {"content": ""},
                    "finish_reason": "error",
                    "error": {"message": "no"},
                }
            ]
        },
        {
            "choices": [
                {
                    "index": 0,
                    "message": {"content": "half"},
                    "finish_reason": "insufficient_system_resource",
                }
            ]
        },
        [{"error": {"message": "no"}}],
        {"errors": [{"message": "no"}]},
        {"detail": "no"},
    ],
)
def test_an_error_with_status_200_is_an_error(body: Any) -> None:
    with pytest.raises(UpstreamError, match=r"no|broke off"):
        DIALECT.response(body, TARGET)
