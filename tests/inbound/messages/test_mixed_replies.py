"""Any unified reply as a message: nothing of it is lost, complete, streamed, and sent back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from native_api.types import Json
from tests.inbound.messages.message_reading import read_complete, read_stream, write_stream
from tests.inbound.messages.saying import expect, read_as_reply
from tests.inbound.mixed_replies import mixed_replies
from tests.inbound.recorded_replies import RecordedReply
from tests.inbound.reply_comparison import check_losses


@settings(max_examples=80, deadline=None)
@given(mixed_replies(), st.sampled_from([{}, {"thinking": {"type": "adaptive"}}]))
def test_a_message_says_what_any_reply_says(reply: RecordedReply, fields: Json) -> None:
    complete = read_complete(reply.completion, **fields)
    streamed = read_stream(write_stream([[chunk] for chunk in reply.chunks], **fields))
    for message in (complete, streamed):
        check_losses("anthropic", reply.wire, expect(reply.completion), read_as_reply(message))
    assert {**complete, "content": []} == {**streamed, "content": []}
