"""Server-sent events and lines of JSON, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import UpstreamError
from native_api.types import Event
from native_api.upstream.decoders import ndjson, sse
from tests.cases import each

STREAM = (
    "\ufeffdata: first\n\n"
    ": a comment\n"
    "event: named\r\ndata: two\r\ndata: lines\r\n\r\n"
    "id: 7\nretry: 10\ndata:no space\rdata:  two spaces\r\r"
    'data: {"text": "héllo 🌍 [DONE]"}\n\n'
    "event: without data\n\n"
    "unknown: field\ndata\n\n"
    "data: [DONE]\n\n"
    "data: no blank line at the end"
).encode()

EVENTS = [
    Event("", "first"),
    Event("named", "two\nlines"),
    Event("", "no space\n two spaces"),
    Event("", '{"text": "héllo 🌍 [DONE]"}'),
    Event("", ""),
    Event("", "[DONE]"),
    Event("", "no blank line at the end"),
]


def decoded(pieces: list[bytes], decoder: sse.SSEDecoder | ndjson.NDJSONDecoder) -> list[Event]:
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def test_a_complete_stream() -> None:
    assert decoded([STREAM], sse.SSEDecoder()) == EVENTS


@each("cut", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere(cut: int) -> None:
    assert decoded([STREAM[:cut], STREAM[cut:]], sse.SSEDecoder()) == EVENTS


def test_a_stream_byte_by_byte() -> None:
    assert (
        decoded(
            [STREAM[position : position + 1] for position in range(len(STREAM))], sse.SSEDecoder()
        )
        == EVENTS
    )


@given(
    st.lists(
        st.sampled_from(
            [b"data: a", b"\r", b"\n", b"\r\n", b": c", b"event: e", b"data", b"\n\n", b"\xff"]
        ),
        max_size=30,
    ),
    st.data(),
)
def test_it_does_not_matter_where_the_stream_is_cut(
    tokens: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(tokens)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert decoded(pieces, sse.SSEDecoder()) == decoded([stream], sse.SSEDecoder())


@given(
    st.lists(
        st.sampled_from([b"data: a\n\n", b"event: e\ndata: b\n\n", b": c\n\n", b"data: d\r\n\r\n"]),
        max_size=10,
    ),
    st.data(),
)
def test_whole_events_in_a_piece_are_the_same_as_their_bytes_one_by_one(
    events: list[bytes], data: st.DataObject
) -> None:
    lines = [line for event in events for line in event.splitlines(keepends=True)]
    pieces, start = [], 0
    while start < len(lines):
        count = data.draw(st.integers(1, 4))
        pieces.append(b"".join(lines[start : start + count]))
        start += count
    one_by_one = [bytes([byte]) for byte in b"".join(events)]
    assert decoded(pieces, sse.SSEDecoder()) == decoded(one_by_one, sse.SSEDecoder())


def test_an_endless_line_raises() -> None:
    decoder = sse.SSEDecoder(limit=1000)
    with pytest.raises(UpstreamError, match="too long"):
        decoded([b"x" * 100] * 11, decoder)


def test_an_event_of_endless_lines_raises() -> None:
    decoder = sse.SSEDecoder(limit=1000)
    with pytest.raises(UpstreamError, match="too large"):
        decoded([b"data: " + b"x" * 100 + b"\n"] * 11, decoder)


def test_lines_of_json_cut_anywhere() -> None:
    stream = '{"a": "é"}\n\n{"b": 2}\r\n{"c": 3}'.encode()
    for cut in range(len(stream) + 1):
        events = decoded([stream[:cut], stream[cut:]], ndjson.NDJSONDecoder())
        assert [event.data for event in events] == ['{"a": "é"}', '{"b": 2}', '{"c": 3}']
