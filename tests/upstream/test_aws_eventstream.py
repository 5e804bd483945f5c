"""Amazon's binary event stream, cut anywhere or damaged."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import UpstreamError
from native_api.types import Event
from native_api.upstream.decoders.aws_eventstream import AWSEventStreamDecoder
from tests.aws_eventstream_writer import header, message


def decoded(pieces: list[bytes]) -> list[Event]:
    decoder = AWSEventStreamDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


EVERY_TYPE = b"".join(
    [
        header("true", 0, b""),
        header("false", 1, b""),
        header("byte", 2, b"\x01"),
        header("short", 3, b"\x00\x01"),
        header("integer", 4, b"\x00\x00\x00\x01"),
        header("long", 5, b"\x00" * 8),
        header("bytes", 6, b"\x00\x03abc"),
        header(":event-type", 7, b"\x00\x05named"),
        header("timestamp", 8, b"\x00" * 8),
        header("uuid", 9, b"\x00" * 16),
    ]
)


def raw(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    data = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return data + struct.pack(">I", crc32(data))


def test_an_event_is_named_by_its_type() -> None:
    assert decoded(
        [message({":message-type": "event", ":event-type": "metadata"}, b'{"a": 1}')]
    ) == [Event("metadata", '{"a": 1}')]


def test_an_exception_is_named_by_its_type() -> None:
    data = message(
        {":message-type": "exception", ":exception-type": "throttlingException"},
        b'{"message": "slow"}',
    )
    assert decoded([data]) == [Event("throttlingException", '{"message": "slow"}')]


@pytest.mark.parametrize(
    ("code", "name"),
    [("InternalError", "InternalError"), ("500", "500Exception"), ("", "UnknownException")],
)
def test_an_unforeseen_error_keeps_its_message(code: str, name: str) -> None:
    data = message(
        {":message-type": "error", ":error-code": code, ":error-message": 'Sorry "you"'}, b""
    )
    assert decoded([data]) == [Event(name, '{"message":"Sorry \\"you\\""}')]


def test_headers_of_other_types_are_skipped() -> None:
    assert decoded([raw(EVERY_TYPE, b"{}")]) == [Event("named", "{}")]


def test_a_published_example() -> None:
    """The service's own bytes: a model that fails in mid-stream."""
    data = bytes.fromhex(
        "000000dd00000067c791907a0d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e2d747970650700196d6f64656c"
        "53747265616d4572726f72457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b226d657373616765"
        "223a224d6f64656c2053747265616d204572726f72222c226f726967696e616c537461747573436f6465223a3530302c226f726967696e616c4d65737361"
        "6765223a22546865206d6f64656c2073747265616d206661696c65642e227d57334313"
    )
    [event] = decoded([data])
    assert event.type == "modelStreamErrorException"
    assert event.data.startswith('{"message":"Model Stream Error","originalStatusCode":500')


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4),
            st.binary(max_size=300),
        ),
        max_size=6,
    ),
    st.data(),
)
def test_it_does_not_matter_where_the_stream_is_cut(
    messages: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(message(headers, payload) for headers, payload in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    whole = decoded([stream])
    assert (
        decoded(pieces)
        == whole
        == decoded([stream[position : position + 1] for position in range(len(stream))])
    )
    assert [event.data for event in whole] == [
        payload.decode("utf-8", "replace") for _, payload in messages
    ]


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_raises(position: int, change: int) -> None:
    data = bytearray(
        message(
            {":message-type": "event", ":event-type": "contentBlockDelta"},
            b'{"delta": {"text": "Hello"}}',
        )
    )
    data[position % len(data)] ^= change
    with pytest.raises(UpstreamError):
        decoded([bytes(data)])


@given(st.binary(min_size=12, max_size=200))
def test_garbage_raises(data: bytes) -> None:
    with pytest.raises(UpstreamError, match=r"damaged|ended"):
        decoded([data])


def test_a_stream_that_ends_inside_an_event_raises() -> None:
    data = message({":message-type": "event", ":event-type": "messageStop"}, b"{}")
    for end in range(1, len(data)):
        with pytest.raises(UpstreamError) as caught:
            decoded([data[:end]])
        assert caught.value.code == "stream_truncated"


def prelude(length: int, header_length: int) -> bytes:
    data = struct.pack(">II", length, header_length)
    return data + struct.pack(">I", crc32(data))


def test_a_message_over_the_limit_raises_before_it_arrives() -> None:
    decoder = AWSEventStreamDecoder(limit=1000)
    with pytest.raises(UpstreamError, match="too large"):
        decoder.feed(prelude(1001, 0))


@pytest.mark.parametrize("data", [prelude(15, 0), prelude(40, 25), prelude(200_000, 190_000)])
def test_impossible_lengths_raise(data: bytes) -> None:
    with pytest.raises(UpstreamError, match="damaged"):
        AWSEventStreamDecoder().feed(data)


@pytest.mark.parametrize(
    "headers",
    [b"\x05name", b"\x01a\x0b", b"\x01a\x07\x00\x09short", b"\x01a\x07\x00", b"\x01a\x05\x00"],
)
def test_impossible_headers_raise(headers: bytes) -> None:
    with pytest.raises(UpstreamError, match="damaged"):
        decoded([raw(headers)])


def test_a_long_event_in_small_pieces_costs_linear_time() -> None:
    data = message({":event-type": "long"}, b"x" * 2_000_000)
    [event] = decoded([data[position : position + 1000] for position in range(0, len(data), 1000)])
    assert len(event.data) == 2_000_000
