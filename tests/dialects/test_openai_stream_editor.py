"""Streams of the OpenAI wire for clients of OpenAI: events go on byte for byte, and what has to be
repaired for strict clients says the same as the unified chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event, ForwardedEvent, Provider, Quirks, Target
from native_api.upstream.decoders import sse
from tests.cases import for_each
from tests.dialects.stream_folding import fold
from tests.recorded_cases import build_target, read_stream, with_members

DIALECT = DIALECTS["openai"]
TARGET = Target(Provider("p", "openai", "http://127.0.0.1/v1"), "m")
WITH_USAGE = {"stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}


def build_choice(
    delta: dict[str, Any], reason: str | None = None, index: int = 0
) -> dict[str, Any]:
    """A choice with all members that OpenAI sends."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def build_data(*choices: dict[str, Any], usage: Any = None, **rest: Any) -> str:
    """An event as OpenAI sends it if it is asked for usage."""
    chunk = {**HEAD, "service_tier": "default", "choices": choices, "usage": usage, **rest}
    return json.dumps(chunk, separators=(",", ":"), ensure_ascii=False)


ROLE = build_data(build_choice({"role": "assistant", "content": "", "refusal": None}))
END = build_data(build_choice({}, "stop"))


def text(content: str, **rest: Any) -> str:
    return build_data(build_choice({"content": content}), **rest)


def call(arguments: str, name: str = "") -> str:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    first = {"id": "call_1", "type": "function"} if name else {}
    piece = {"index": 0, **first, "function": function}
    return build_data(build_choice({"tool_calls": [piece]}))


def forward(
    datas: Iterable[str], body: dict[str, Any] = WITH_USAGE, target: Target = TARGET
) -> list[ForwardedEvent]:
    """What goes on of the events of a complete stream."""
    editor = DIALECT.editor(target, body)
    assert editor is not None
    events = [item for data in [*datas, "[DONE]"] for item in editor.feed(Event("", data))]
    return [*events, *editor.close()]


def forward_data(datas: Iterable[str], body: dict[str, Any] = WITH_USAGE) -> list[str | None]:
    return [event.data for event in forward(datas, body)]


PLAIN_STREAMS = {
    "text": [ROLE, text("Hel"), text("lo"), END],
    "quotes and lines": [
        ROLE,
        text("a"),
        text('"quoted" \\ '),
        text("\n\n"),
        text("é🤔\u200d"),
        END,
    ],
    "obfuscated": [
        ROLE,
        text("a", obfuscation="x1"),
        text("b", obfuscation=""),
        text("c", obfuscation="zz9"),
        END,
    ],
    "calls": [
        ROLE,
        call("", name="f"),
        call('{"x"'),
        call(":1}"),
        build_data(build_choice({}, "tool_calls")),
    ],
    "two choices": [
        build_data(build_choice({"role": "assistant", "content": "a"}, index=index))
        for index in (0, 1)
    ]
    + [build_data(build_choice({"content": "b"}, index=index)) for index in (1, 0, 1)]
    + [build_data(build_choice({}, "stop", index)) for index in (0, 1)],
    "log probabilities": [
        ROLE,
        build_data(
            {**build_choice({"content": "a"}), "logprobs": {"content": [], "refusal": None}}
        ),
        END,
    ],
    "members that nobody knows yet": [
        ROLE,
        text("a", weather={"sky": "blue"}),
        build_data({**build_choice({"content": "b"}), "mood": "calm"}),
        END,
    ],
    "events without choices": [ROLE, text("a"), build_data(ads=[1]), END, build_data(ads=[2])],
}


@pytest.mark.parametrize("name", PLAIN_STREAMS)
def test_events_go_on_byte_for_byte(name: str) -> None:
    assert forward_data(PLAIN_STREAMS[name]) == PLAIN_STREAMS[name]


@pytest.mark.parametrize("name", ["text", "quotes and lines", "obfuscated", "calls", "two choices"])
@pytest.mark.parametrize("null", [',"usage":null', ', "usage": null'])
def test_usage_that_the_client_did_not_ask_for_is_cut_out(name: str, null: str) -> None:
    datas = [data.replace(',"usage":null', null) for data in PLAIN_STREAMS[name]]
    assert forward_data(datas, {}) == [
        data.replace(',"usage":null', "") for data in PLAIN_STREAMS[name]
    ]


def test_a_text_that_looks_like_usage_stays() -> None:
    datas = [ROLE, text("a"), text(',"usage":null'), text("x,"), END]
    assert [json.loads(data or "null") for data in forward_data(datas, {})] == [
        {name: value for name, value in json.loads(data).items() if name != "usage"}
        for data in datas
    ]


def test_the_usage_event_is_kept_for_the_end() -> None:
    usage = build_data(usage=USAGE)
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    sent = [
        item.data
        for data in [ROLE, text("a"), END, usage, "[DONE]"]
        for item in editor.feed(Event("", data))
    ]
    assert sent == [ROLE, text("a"), END]
    assert editor.usage_event is not None
    assert editor.usage_event.data == usage
    assert editor.parser.usage == USAGE


def test_a_usage_event_in_many_lines_is_written_anew() -> None:
    usage = json.dumps(json.loads(build_data(usage=USAGE)), indent=1)
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    for data in (ROLE, text("a"), END, usage):
        editor.feed(Event("", data))
    assert editor.usage_event == ForwardedEvent(json.loads(usage), None)


REPAIRED_STREAMS = {
    "another id": [ROLE, text("a"), text("b", id="c-2"), END],
    "no head": [
        json.dumps({"choices": [build_choice({"role": "assistant", "content": "a"})]}),
        text("b"),
        END,
    ],
    "the role in each chunk": [
        ROLE,
        build_data(build_choice({"role": "assistant", "content": "a"})),
        END,
    ],
    "another name of reasoning": [
        ROLE,
        build_data(build_choice({"reasoning": "hm"})),
        text("a"),
        END,
    ],
    "the finish reason early": [ROLE, END, text("late")],
    "the finish reason twice": [ROLE, text("a"), END, END],
    "a finish reason of its own": [ROLE, text("a"), build_data(build_choice({}, "max_tokens"))],
    "text with the finish reason": [ROLE, build_data(build_choice({"content": "a"}, "stop"))],
    "usage in the last chunk": [ROLE, text("a"), build_data(build_choice({}, "stop"), usage=USAGE)],
    "a null that clients could not send back": [
        ROLE,
        build_data(build_choice({"content": "a", "reasoning": None})),
        END,
    ],
    "calls without an index": [
        ROLE,
        build_data(
            build_choice(
                {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}
            )
        ),
        END,
    ],
    "a choice without a finish reason": [
        ROLE,
        build_data({"index": 0, "delta": {"content": "a"}}),
        build_data({"index": 0, "delta": {"content": "b"}}),
        END,
    ],
    "an event in many lines": [ROLE, json.dumps(json.loads(text("a")), indent=1), END],
}


@pytest.mark.parametrize("name", REPAIRED_STREAMS)
def test_what_strict_clients_need_outranks_the_bytes(name: str) -> None:
    datas = REPAIRED_STREAMS[name]
    events = forward(datas)
    assert [event.data for event in events] != datas
    assert fold(event.chunk for event in events) == fold(unify(datas, TARGET))
    heads = {
        (event.read().get("id"), event.read().get("created")) for event in events if event.data
    }
    assert len(heads) <= 1


def unify(datas: Iterable[str], target: Target) -> list[Any]:
    parser = DIALECT.stream(target)
    chunks = [chunk for data in [*datas, "[DONE]"] for chunk in parser.feed(Event("", data))]
    return [*chunks, *parser.close()]


TEXTS = st.lists(st.text(min_size=1), max_size=8)


@given(TEXTS, st.booleans(), st.booleans())
def test_any_text_goes_on_and_is_counted(
    texts: list[str], is_ascii: bool, is_obfuscated: bool
) -> None:
    chunks = [json.loads(ROLE)] + [
        json.loads(
            text("x", **({"obfuscation": "q" * (len(content) % 7)} if is_obfuscated else {}))
        )
        for content in texts
    ]
    for chunk, content in zip(chunks[1:], texts, strict=True):
        chunk["choices"][0]["delta"]["content"] = content
    datas = [json.dumps(chunk, separators=(",", ":"), ensure_ascii=is_ascii) for chunk in chunks]
    events = forward([*datas, END])
    assert [event.data for event in events] == [*datas, END]
    message = fold(event.chunk for event in events)[0]["message"]
    assert (message["content"] or "") == "".join(texts)


@pytest.mark.parametrize(
    "broken", ['{"id', "[1]", '{"error": {"message": "overloaded"}}', '{"choices": 3}']
)
def test_an_error_is_an_error(broken: str) -> None:
    editor = DIALECT.editor(TARGET, {})
    assert editor is not None
    for data in (ROLE, text("a")):
        editor.feed(Event("", data))
    with pytest.raises(UpstreamError):
        editor.feed(Event("", broken))


READ_WITHOUT_CHOICES = {
    "an error in Groq's own member": build_data(x_groq={"error": "overloaded"}),
    "errors": build_data(errors=[{"message": "overloaded"}]),
    "MiniMax's status": build_data(base_resp={"status_code": 1002, "status_msg": "overloaded"}),
}


@pytest.mark.parametrize("name", READ_WITHOUT_CHOICES)
def test_an_error_without_choices_is_an_error(name: str) -> None:
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    for data in (ROLE, text("a")):
        editor.feed(Event("", data))
    with pytest.raises(UpstreamError):
        editor.feed(Event("", READ_WITHOUT_CHOICES[name]))


def test_an_event_named_error_is_an_error() -> None:
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    editor.feed(Event("", ROLE))
    with pytest.raises(UpstreamError):
        editor.feed(Event("error", build_data(message="overloaded")))


def test_usage_and_sources_without_choices_are_read() -> None:
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    datas = [
        ROLE,
        text("a"),
        build_data(x_groq={"usage": USAGE}),
        build_data(citations=["https://a.example/"]),
        END,
        "[DONE]",
    ]
    events = [item for data in datas for item in editor.feed(Event("", data))]
    assert editor.parser.usage == USAGE
    assert fold(event.chunk for event in events)[0]["message"]["annotations"]


@pytest.mark.parametrize("choices", [[None], ["a"], [{"index": None, "finish_reason": "stop"}]])
def test_a_choice_of_no_use_is_skipped(choices: list[Any]) -> None:
    odd = json.dumps({**json.loads(END), "choices": choices})
    events = forward([ROLE, text("a"), odd, END])
    assert fold(event.chunk for event in events) == fold(unify([ROLE, text("a"), odd, END], TARGET))


def test_nothing_comes_after_the_end() -> None:
    editor = DIALECT.editor(TARGET, WITH_USAGE)
    assert editor is not None
    datas = [ROLE, text("a"), END, "[DONE]", END]
    events = [item for data in datas for item in editor.feed(Event("", data))]
    events += editor.close()
    assert [event.data for event in events] == [ROLE, text("a"), END]


def test_no_null_usage_remains_in_a_last_event_of_many_lines() -> None:
    pretty = json.dumps(json.loads(END), indent=1)
    events = forward([ROLE, text("a"), pretty], {})
    assert "usage" not in events[-1].read()
    assert events[-1].chunk["choices"][0]["finish_reason"] == "stop"


def test_an_event_that_only_begins_like_the_others_is_parsed() -> None:
    begun = [ROLE, text("a"), text("b")]
    for end in ('"', '"}', '"},"finish_reason":"stop"}', "", "\\"):
        editor = DIALECT.editor(TARGET, {})
        assert editor is not None
        for data in begun:
            editor.feed(Event("", data))
        with pytest.raises(UpstreamError):
            editor.feed(Event("", text("c").partition('c"')[0] + end))


def test_a_truncated_stream_is_an_error() -> None:
    editor = DIALECT.editor(TARGET, {})
    assert editor is not None
    editor.feed(Event("", ROLE))
    with pytest.raises(UpstreamError, match="ended before"):
        editor.close()


def test_text_in_tags_is_not_passed_on_as_it_is() -> None:
    tagged = Target(
        Provider("p", "openai", "http://127.0.0.1/v1", quirks=Quirks(reasoning_field="think_tags")),
        "m",
    )
    events = forward([ROLE, text("<think>hm"), text("</think>Hi"), text("!"), END], {}, tagged)
    message = fold(event.chunk for event in events)[0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "Hi!")


@for_each(with_members("stream", "expected"))
@pytest.mark.parametrize("body", [{}, WITH_USAGE], ids=["", "with usage"])
def test_a_recorded_stream_says_what_its_chunks_say(
    case: dict[str, Any], body: dict[str, Any]
) -> None:
    target = build_target(case)
    editor = DIALECTS[target.provider.dialect].editor(target, body)
    if editor is None or not editor.is_stamped:
        assert DIALECTS[target.provider.dialect].wire != DIALECT.wire
        return
    decoder = sse.SSEDecoder()
    datas = [event.data for event in [*decoder.feed(read_stream(case)), *decoder.close()]]
    if "[DONE]" in datas:
        datas.remove("[DONE]")
    events = forward(datas, body, target)
    expected = fold(unify(datas, target))
    assert fold(event.chunk for event in events) == expected
    assert fold(without_nulls(event.read()) for event in events) == without_nulls(expected)


def without_nulls(chunk: Any) -> Any:
    """The chunk without members of deltas that say nothing."""
    if isinstance(chunk, list):
        return [without_nulls(item) for item in chunk]
    if not isinstance(chunk, dict):
        return chunk
    return {
        name: without_nulls(value)
        for name, value in chunk.items()
        if value is not None or name in ("finish_reason", "content")
    }
