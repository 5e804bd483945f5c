"""Streams of the OpenAI wire: cut anywhere, they fold into the complete reply."""

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


def build_event(
    delta: dict[str, Any] | None = None, reason: str | None = None, index: int = 0, **rest: Any
) -> str:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": reason}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**head, 'choices': choices, **rest})}\n\n"


def build_call(index: Any, arguments: str, **first: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": first.pop("name")} if "name" in first else {})}
    return {"tool_calls": [{"index": index, **first, "function": function}]}


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}

STREAM = (
    ": PROCESSING\n\n"
    + build_event(usage=None, prompt_filter_results=[])
    + build_event({"role": "assistant", "content": ""})
    + build_event({"reasoning_content": "Let me "})
    + build_event({"reasoning": "think 🤔."})
    + build_event({"content": "Grüße, "})
    + build_event({"content": "say data: [DONE]"})
    + build_event(build_call(3, "", id="call_a", type="function", name="weather"))
    + build_event(build_call(3, '{"city": '))
    + build_event(build_call(3, '"Zürich"}'))
    + build_event(build_call(5, "{}", id="call_b", type="function", name="time"))
    + build_event({"role": "assistant", "content": "other"}, index=1)
    + build_event({}, "tool_calls")
    + build_event({}, "tool_calls")
    + build_event({}, "max_tokens", index=1)
    + build_event(usage=USAGE)
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


def decode(pieces: list[bytes]) -> list[Event]:
    decoder = sse.SSEDecoder()
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.close()]


def parse(pieces: list[bytes]) -> tuple[list[Any], Any]:
    parser = DIALECT.stream(TARGET)
    chunks = [chunk for event in decode(pieces) for chunk in parser.feed(event)]
    return [*chunks, *parser.close()], parser.usage


def test_a_stream_folds_into_the_reply() -> None:
    chunks, usage = parse([STREAM])
    assert fold(chunks) == FOLDED
    assert usage == USAGE
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)


def test_a_stream_is_the_same_at_any_cut() -> None:
    """A parser gets whole events, so what it makes of them cannot depend on the cut."""
    events = decode([STREAM])
    for cut in range(len(STREAM) + 1):
        assert decode([STREAM[:cut], STREAM[cut:]]) == events, f"cut at {cut}"


def test_the_complete_reply_equals_the_folded_stream() -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
    choices = [json.loads(json.dumps(choice)) for choice in FOLDED]
    choices[0]["message"]["reasoning"] = choices[0]["message"].pop("reasoning_content")
    choices[1]["finish_reason"] = "max_tokens"
    assert DIALECT.response({**body, "choices": choices}, TARGET)["choices"] == FOLDED


@pytest.mark.parametrize("cut", [0, 30, 200, STREAM.index(b"max_tokens") - 60])
def test_a_truncated_stream_is_an_error(cut: int) -> None:
    truncated = STREAM[:cut].rpartition(b"\n\n")[0] + b"\n\n"
    if b'"tool_calls"}' not in truncated:
        with pytest.raises(UpstreamError, match="ended before"):
            parse([truncated])


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


def test_usage_inside_x_groq_is_read() -> None:
    _, usage = parse(
        [
            (
                build_event({"content": "x"})
                + build_event({}, "stop", x_groq={"usage": USAGE})
                + "data: [DONE]\n\n"
            ).encode()
        ]
    )
    assert usage == USAGE


def test_calls_without_an_index_are_distinguished_by_their_ids() -> None:
    first = {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    second = {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}
    chunks, _ = parse(
        [(build_event(first) + build_event(second) + build_event({}, "stop")).encode()]
    )
    [choice] = fold(chunks)
    assert [item["id"] for item in choice["message"]["tool_calls"]] == ["a", "b"]
    assert choice["finish_reason"] == "tool_calls"


# --- what servers of the family do ---------------------------------------------------------------


def fold_choice(*events: str, done: bool = True) -> dict[str, Any]:
    """The one choice of the reply that these events stream."""
    chunks, _ = parse([("".join(events) + ("data: [DONE]\n\n" if done else "")).encode()])
    [choice] = fold(chunks)
    return choice


@pytest.mark.parametrize(
    "ending", [build_event({}, "stop"), build_event({}, "stop") * 2, build_event({}, ""), ""]
)
def test_a_stream_that_is_done_has_one_finish_reason(ending: str) -> None:
    assert fold_choice(build_event({"content": "x"}), ending)["finish_reason"] == "stop"
    called = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}
    assert fold_choice(build_event(called), ending)["finish_reason"] == "tool_calls"


def test_a_finish_reason_in_every_chunk_does_not_end_the_answer() -> None:
    assert (
        fold_choice(
            build_event({"content": "a"}, "stop"), build_event({"content": "b"}, "stop"), done=False
        )["message"]["content"]
        == "ab"
    )


def test_a_stream_with_an_unfinished_choice_was_cut_short() -> None:
    with pytest.raises(UpstreamError, match="ended before"):
        fold_choice(
            build_event({"content": "a"}),
            build_event({"content": "b"}, index=1),
            build_event({}, "stop"),
            done=False,
        )


def test_a_finished_stream_without_choices_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        fold_choice(build_event(usage=USAGE))


def test_an_unknown_finish_reason_is_a_stop() -> None:
    assert (
        fold_choice(build_event({"content": "x"}, "of_a_kind_yet_unknown"))["finish_reason"]
        == "stop"
    )


@pytest.mark.parametrize(
    "event",
    [
        build_event(choices=None),
        'data: {"choices": [{"index": 0, "delta": null}]}\n\n',
        'data: {"choices": [null]}\n\n',
        'data: {"type": "ping"}\n\n',
        "data: {}\n\n",
        build_event({"content": None}),
        build_event({"tool_calls": None, "reasoning_details": None, "annotations": None}),
    ],
)
def test_events_without_content_are_skipped(event: str) -> None:
    assert fold_choice(build_event({"content": "a"}), event, build_event({"content": "b"}, "stop"))[
        "message"
    ] == {
        "role": "assistant",
        "content": "ab",
    }


def test_the_role_is_sent_once_in_the_first_delta() -> None:
    roles = {"role": "assistant", "content": "a"}
    chunks, _ = parse(
        [
            (
                build_event(roles)
                + build_event(roles)
                + build_event({}, "stop")
                + "data: [DONE]\n\n"
            ).encode()
        ]
    )
    assert ["role" in chunk["choices"][0]["delta"] for chunk in chunks] == [True, False, False]
    assert fold_choice(build_event({"content": "no role"}))["message"]["role"] == "assistant"


def test_usage_in_every_chunk_is_a_running_count() -> None:
    _, usage = parse(
        [
            (
                build_event({"content": "x"}, usage={"prompt_tokens": 5, "completion_tokens": 1})
                + build_event({}, "stop", usage=USAGE)
            ).encode()
        ]
    )
    assert usage == USAGE


def test_members_outside_the_choices_go_with_the_next_chunk_that_has_choices() -> None:
    events = (
        build_event(prompt_filter_results=[1])
        + build_event({"content": "x"})
        + build_event({}, "stop")
        + build_event(usage=USAGE, timings={"n": 1})
        + "data: [DONE]\n\n"
    )
    chunks, _ = parse([events.encode()])
    assert [sorted(chunk.keys() & {"prompt_filter_results", "timings"}) for chunk in chunks] == [
        ["prompt_filter_results"],
        ["timings"],
    ]


def test_a_whole_message_is_the_answer_unless_deltas_came_before() -> None:
    whole = {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}
        ]
    }
    event = f"data: {json.dumps(whole)}\n\n"
    assert fold_choice(event)["message"]["content"] == "ab"
    assert (
        fold_choice(build_event({"content": "a"}), build_event({"content": "b"}), event)["message"][
            "content"
        ]
        == "ab"
    )


def test_the_finish_reason_is_sent_at_done() -> None:
    parser = DIALECT.stream(TARGET)
    [first] = parser.feed(Event("", build_event({"content": "x"}, "stop")[6:].strip()))
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
def test_thinking_in_tags_is_separated_from_the_answer_at_any_cut(
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
        events = [
            build_event({"content": text[:cut]}),
            build_event({"content": text[cut:]}),
            build_event({}, "stop"),
        ]
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
