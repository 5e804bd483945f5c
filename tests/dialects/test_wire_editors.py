"""Events of Responses and Messages go on to clients of these APIs byte for byte, and are counted on
the way as the parser counts them, but for the edits that have a test here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.operations import CHAT
from native_api.types import Event
from native_api.upstream.decoders import DECODERS
from tests.cases import Cases, each, for_each
from tests.dialects.stream_folding import fold
from tests.dialects.wire_streams import (
    ADDED,
    BEGINNINGS,
    CREATED,
    ENDED,
    ENDS,
    STARTED,
    STOPPED,
    WIRES,
    add,
    as_events,
    build_message,
    build_response,
    complete,
    edit,
    make_editor,
    make_event,
    parse,
    say,
    start,
    stop,
)
from tests.recorded_cases import build_target, read_stream, with_streams

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f"}


def argue(piece: str, index: int = 1) -> Event:
    return make_event(
        type="response.function_call_arguments.delta", sequence_number=8,
        item_id=f"fc_{index}", output_index=index, delta=piece, obfuscation="x" * len(piece),
    )  # fmt: skip


STREAMS: dict[str, tuple[str, list[Event]]] = {
    "text": (
        "openai_responses",
        [CREATED, ADDED, say("Hel"), say("lo "), say("you"), complete(build_message("Hello you"))],
    ),
    "running numbers and padding": (
        "openai_responses",
        [
            CREATED,
            ADDED,
            *(
                say(word, sequence_number=number, obfuscation="q1" * (number % 3))
                for number, word in ((9, "a"), (10, "b"), (11, "c"), (1000, "d"))
            ),
            complete(build_message("abcd")),
        ],
    ),
    "members in the old order": (
        "openai_responses",
        [
            CREATED,
            ADDED,
            *(
                make_event(
                    type="response.output_text.delta", sequence_number=number, item_id="msg_1",
                    output_index=0, content_index=0, delta=word, logprobs=[], obfuscation="x",
                )
                for number, word in enumerate("abcdefghijkl", 3)
            ),
            complete(build_message("abcdefghijkl")),
        ],
    ),
    "two texts by turns": (
        "openai_responses",
        [
            CREATED,
            make_event(
                type="response.output_item.added", output_index=1, item={**CALL, "arguments": ""}
            ),
            say("a"), argue('{"x":'), say("b"), argue("1"), say("c"), argue("}"), say("d"),
            complete(build_message("abcd"), {**CALL, "arguments": '{"x":1}'}),
        ],
    ),
    "log probabilities": (
        "openai_responses",
        [
            CREATED,
            ADDED,
            *(say(word, logprobs=[{"token": word, "logprob": -0.5}]) for word in "abc"),
            complete(build_message("abc")),
        ],
    ),
    "events that nobody knows yet": (
        "openai_responses",
        [CREATED, ADDED, say("a"), make_event(type="response.mood.changed", mood=3), say("b"),
         make_event(type="response.mood.delta", delta="calm"), complete(build_message("ab"))],
    ),
    "an incomplete answer": (
        "openai_responses",
        [CREATED, ADDED, say("a"), complete(build_message("a"), kind="incomplete")],
    ),
    "blocks": (
        "anthropic",
        [
            STARTED,
            make_event(type="ping"),
            start(0, type="thinking", thinking="", signature=""),
            *(add(0, "thinking", thinking=piece) for piece in ("Hm", ", ", "well")),
            stop(0),
            start(1, type="text", text=""),
            *(add(1, "text", text=piece) for piece in ("I", " look", ".")),
            stop(1),
            start(2, type="tool_use", id="toolu_1", name="f", input={}),
            *(add(2, "input_json", partial_json=piece) for piece in ("", '{"x"', ": ", "1}")),
            stop(2),
            start(3, type="tool_use", id="toolu_2", name="g", input={}),
            stop(3),
            ENDED,
            STOPPED,
        ],
    ),
    "spaces before the end": (
        "anthropic",
        [
            STARTED,
            start(0, type="text", text=""),
            *(
                event._replace(data=f"{event.data[:-1]}{' ' * spaces}}}")
                for spaces, event in enumerate(add(0, "text", text=piece) for piece in "abcd")
            ),
            stop(0),
            ENDED,
            STOPPED,
        ],
    ),
    "a server's tool, citations and what nobody knows yet": (
        "anthropic",
        [
            STARTED,
            start(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
            add(0, "input_json", partial_json='{"query":'),
            add(0, "input_json", partial_json='"a"}'),
            stop(0),
            start(1, type="of_tomorrow", mood="calm"),
            add(1, "mood", mood="calmer"),
            stop(1),
            start(2, type="text", text=""),
            add(2, "text", text="a"),
            add(2, "citations", citation={"type": "of_tomorrow"}),
            add(2, "text", text="b"),
            stop(2),
            make_event(type="mood_changed", mood=3),
            ENDED,
            STOPPED,
        ],
    ),
}  # fmt: skip


@each("name", STREAMS)
def test_events_go_on_byte_for_byte(name: str) -> None:
    wire, events = STREAMS[name]
    assert as_events(edit(wire, events)) == events


@each("name", STREAMS)
def test_what_goes_on_is_counted(name: str) -> None:
    wire, events = STREAMS[name]
    counted, expected = CHAT.new_output({}), CHAT.new_output({})
    counted.add_chunks([event.chunk for event in edit(wire, events)])
    expected.add_chunks(parse(wire, events))
    assert counted.produced.tokens == expected.produced.tokens > 0
    assert counted.finish_reason == expected.finish_reason != ""


def is_of_a_wire(case: dict[str, Any]) -> bool:
    return DIALECTS[case["provider"]["dialect"]].wire in WIRES


def list_recordings() -> Cases:
    return ((name, case) for name, case in with_streams()() if is_of_a_wire(case))


@for_each(list_recordings)
def test_a_recorded_stream_says_what_its_chunks_say(case: dict[str, Any]) -> None:
    target = build_target(case)
    dialect = DIALECTS[target.provider.dialect]
    decoder = DECODERS[dialect.framing]()
    events = [*decoder.feed(read_stream(case)), *decoder.close()]
    editor, parser = dialect.editor(target, {}), dialect.stream(target)
    assert editor is not None
    forwarded, editors_error = read_all(editor, events)
    chunks, error = read_all(parser, events)
    assert (editors_error, editor.parser.usage) == (error, parser.usage)
    passed = [event.chunk for event in [*forwarded, *editor.last_events]]
    assert without_marks(fold(passed)) == without_marks(fold(chunks))


def read_all(reader: Any, events: list[Event]) -> tuple[list[Any], str]:
    """What a parser or an editor makes of the events, and the message of an error."""
    items: list[Any] = []
    try:
        for event in events:
            items += reader.feed(event)
    except UpstreamError as error:
        return items, error.message
    return items, ""


def without_marks(value: Any) -> Any:
    if isinstance(value, list):
        return [without_marks(item) for item in value]
    if isinstance(value, dict):
        return {name: without_marks(item) for name, item in value.items() if name != "issued_by"}
    return value


TEXTS = st.lists(st.text(min_size=1), max_size=8)


@given(TEXTS, st.booleans(), st.sampled_from(WIRES))
def test_any_text_goes_on_and_is_counted(texts: list[str], is_ascii: bool, wire: str) -> None:
    if wire == "anthropic":
        around = [STARTED, start(0, type="text", text="")], [stop(0), ENDED, STOPPED]
        pieces = [add(0, "text", text=text) for text in texts]
    else:
        around = [CREATED, ADDED], [complete(build_message("".join(texts)))]
        pieces = [say(text) for text in texts]
    written = [
        event._replace(data=json.dumps(json.loads(event.data), ensure_ascii=is_ascii))
        for event in pieces
    ]
    events = [*around[0], *written, *around[1]]
    forwarded = edit(wire, events)
    assert as_events(forwarded) == events
    message = fold(event.chunk for event in forwarded)[0]["message"]
    assert (message["content"] or "") == "".join(texts)


# --- the end -------------------------------------------------------------------------------------


@each("wire", WIRES)
def test_the_end_and_what_follows_it_are_held_back(wire: str) -> None:
    editor, later = make_editor(wire), make_event(type="later")
    for event in BEGINNINGS[wire]:
        assert len(editor.feed(event)) == 1
    if wire == "anthropic":
        editor.feed(ENDED)
    for event in (ENDS[wire], later, BEGINNINGS[wire][-1]):
        assert editor.feed(event) == ()
    assert editor.close() == ()
    assert as_events(editor.last_events)[:2] == [ENDS[wire], later]
    assert editor.parser.usage["completion_tokens"] == 5


@each("wire", WIRES)
def test_what_has_not_reached_a_chunk_is_pending(wire: str) -> None:
    editor = make_editor(wire)
    chunks = [item.chunk for event in BEGINNINGS[wire] for item in editor.feed(event)]
    counted = CHAT.new_output({})
    counted.add_chunks(chunks)
    before = counted.produced.tokens
    counted.add_deltas([editor.parser.pending_delta()])
    assert fold(chunks)[0]["message"]["content"] == "a"
    assert counted.produced.tokens >= before
    assert editor.parser.pending_delta().get("content") is None


@each("wire", WIRES)
def test_a_stream_that_breaks_off_is_an_error(wire: str) -> None:
    editor = make_editor(wire)
    for event in BEGINNINGS[wire]:
        editor.feed(event)
    with pytest.raises(UpstreamError) as caught:
        editor.close()
    assert caught.value.code == "stream_truncated"


ERRORS: dict[str, tuple[str, Event]] = {
    "an error": ("openai_responses", make_event(type="error", message="overloaded", code=None)),
    "a failure": (
        "openai_responses",
        make_event(
            type="response.failed",
            response=build_response(status="failed", error={"message": "overloaded"}),
        ),
    ),
    "no object": ("openai_responses", Event("", "[1]")),
    "no JSON": ("openai_responses", Event("", '{"type": "response.output_te')),
    "an odd shape": ("openai_responses", Event("", '{"type": "response.created", "response": 3}')),
    "Anthropic's error": (
        "anthropic",
        make_event(type="error", error={"type": "overloaded_error", "message": "overloaded"}),
    ),
    "no JSON of Anthropic's": ("anthropic", Event("", "{")),
}


@each("name", ERRORS)
def test_an_error_is_an_error(name: str) -> None:
    wire, event = ERRORS[name]
    editor = make_editor(wire)
    for each_event in BEGINNINGS[wire]:
        editor.feed(each_event)
    with pytest.raises(UpstreamError):
        editor.feed(event)
    assert editor.parser.pending_delta()["content"] == "b", "it is counted all the same"


def test_a_text_event_that_only_begins_like_the_others_is_parsed() -> None:
    for wire, tail in (("openai_responses", ',"logprobs":[]'), ("anthropic", '"}')):
        for broken in ("", "}", '"', '","x":', f'"{tail}', f'"{tail}}}}}', "\\", '\x01"}}'):
            editor = make_editor(wire)
            for event in BEGINNINGS[wire]:
                editor.feed(event)
            last = BEGINNINGS[wire][-1]
            begun = last.data.partition('"b"')[0] + '"c'
            with pytest.raises(UpstreamError):
                editor.feed(last._replace(data=begun + broken))
