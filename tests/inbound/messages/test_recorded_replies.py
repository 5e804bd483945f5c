"""Every recorded reply of every dialect, as a message: it says what the chat reply says, complete and
streamed, but for the losses that are listed. Sent back, it is the model's message with all that its
provider needs."""

from __future__ import annotations

from typing import Any

from native_api.types import Json
from tests.cases import for_each
from tests.inbound.messages.message_reading import read_complete, read_stream, write_stream
from tests.inbound.messages.saying import expect, read_as_reply
from tests.inbound.recorded_replies import RecordedReply, load_replies
from tests.inbound.reply_comparison import check_losses


@for_each(load_replies)
def test_a_message_says_what_the_reply_says(reply: RecordedReply) -> None:
    """Both forms are the same message, but for where what is sealed has its place, and where texts
    are divided."""
    complete = read_complete(reply.completion)
    check_losses("anthropic", reply.wire, expect(reply.completion), read_as_reply(complete))
    streamed = read_stream(write_stream([[chunk] for chunk in reply.chunks]))
    arrived, expected = read_as_reply(streamed), expect(reply.completion)
    leave_out_what_streams_lose(expected, arrived)
    check_losses("anthropic", reply.wire, expected, arrived)
    assert {**complete, "content": []} == {**streamed, "content": []}
    for kind, member in (("text", "text"), ("thinking", "thinking")):
        assert join(complete, kind, member) == join(streamed, kind, member)


def leave_out_what_streams_lose(expected: Json, arrived: Json) -> None:
    """The citations of a text that a call follows, and what is no JSON in a call."""
    said, read = (reply["choices"][0]["message"] for reply in (expected, arrived))
    if said["tool_calls"] and said["content"] and not read.get("annotations"):
        said["annotations"] = []
    for call, arrived_call in zip(said["tool_calls"], read["tool_calls"], strict=True):
        if "_raw" in call["function"]["arguments"]:
            call["function"] = arrived_call["function"]


def join(message: Json, kind: str, member: str) -> Any:
    """The characters of all such blocks. Descriptions of images may stand between others."""
    return sorted("".join(block[member] for block in message["content"] if block["type"] == kind))
