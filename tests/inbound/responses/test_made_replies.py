"""Replies of every composition as responses: both forms say what the reply says, and come back as its
message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from tests.inbound.made_replies import made_replies
from tests.inbound.recorded_replies import RecordedReply
from tests.inbound.responses.reading import parse_request, read_stream
from tests.inbound.responses.test_recorded_replies import check_same, list_shown
from tests.inbound.responses.test_round_trip import check_message


@given(made_replies)
def test_a_complete_response_says_the_same_and_comes_back(reply: RecordedReply) -> None:
    response = build_response(parse_request(), reply.completion)
    check_same(reply, response)
    check_message(reply, response)


@given(made_replies, st.lists(st.integers(0, 40)))
def test_a_streamed_response_is_the_complete_one(reply: RecordedReply, cuts: list[int]) -> None:
    writer, content, start = ResponsesStreamWriter(parse_request()), b"", 0
    for end in [*sorted(cuts), len(reply.chunks)]:
        content += writer.feed(reply.chunks[start:end])
        start = max(start, end)
    response = read_stream(content + writer.close())
    complete = build_response(parse_request(), reply.completion)
    assert list_shown(response) == list_shown(complete)
    check_same(reply, response)
    check_message(reply, response)
