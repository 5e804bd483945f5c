"""Responses as streams: which events a reply becomes, and how a stream ends."""

from __future__ import annotations

from typing import Any

from native_api.exceptions import NativeError, RateLimited, UpstreamError
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from tests.cases import each
from tests.inbound.responses.reading import parse_request, read_stream, split_events

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(delta: Any, finish_reason: str | None = None, **choice: Any) -> Any:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **choice}],
    }


def usage_chunk() -> Any:
    return {**chunk({}), "choices": [], "usage": USAGE}


def call(index: int, arguments: str, name: str = "", call_id: str = "") -> Any:
    begin = {"id": call_id, "type": "function"} if call_id else {}
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"tool_calls": [{"index": index, **begin, "function": function}]}


def write(*chunks: Any, body: Any = None) -> bytes:
    """The bytes of a whole stream; each chunk comes alone."""
    writer = ResponsesStreamWriter(parse_request(body))
    content = b"".join(writer.feed([each_chunk]) for each_chunk in chunks)
    return content + writer.close()


def types_of(content: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in split_events(content)]


def test_a_text_has_all_events() -> None:
    content = write(chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))
    assert types_of(content) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = read_stream(content)
    assert response["output"][0]["content"][0]["text"] == "Hello"


def test_an_item_is_done_when_the_next_one_begins() -> None:
    content = write(
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "Hi"}),
        chunk(call(0, "{}", "look", "call_1")),
        chunk({}, "tool_calls"),
    )
    kinds = [(event["type"], event.get("output_index")) for event in split_events(content)]
    items = [kind for kind in kinds if "output_item" in kind[0]]
    assert items == [
        ("response.output_item.added", 0),
        ("response.output_item.done", 0),
        ("response.output_item.added", 1),
        ("response.output_item.done", 1),
        ("response.output_item.added", 2),
        ("response.output_item.done", 2),
    ]
    assert [item["type"] for item in read_stream(content)["output"]] == [
        "reasoning",
        "message",
        "function_call",
    ]


def test_calls_in_pieces_by_turns_stay_whole_and_in_order() -> None:
    content = write(
        chunk(call(0, '{"a"', "one", "call_1")),
        chunk(call(1, '{"b"', "two", "call_2")),
        chunk(call(0, ": 1}")),
        chunk(call(1, ": 2}")),
        chunk({}, "tool_calls"),
    )
    assert [item["arguments"] for item in read_stream(content)["output"]] == [
        '{"a": 1}',
        '{"b": 2}',
    ]


def test_the_usage_is_that_of_the_last_chunk() -> None:
    response = read_stream(write(chunk({"content": "Hi"}), chunk({}, "stop"), usage_chunk()))
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


def deltas_of(content: bytes) -> list[tuple[str, str]]:
    return [
        (event["type"].removeprefix("response."), event["delta"])
        for event in split_events(content)
        if event["type"].endswith(".delta")
    ]


def test_a_refusal_has_events_of_its_own() -> None:
    content = write(chunk({"content": "Well."}), chunk({"refusal": "No."}), chunk({}, "stop"))
    assert deltas_of(content) == [("output_text.delta", "Well."), ("refusal.delta", "No.")]
    [item] = read_stream(content)["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]


def test_the_input_of_a_custom_call_has_events_of_its_own() -> None:
    begin = {"index": 0, "id": "call_1", "type": "custom"}
    content = write(
        chunk({"tool_calls": [{**begin, "custom": {"name": "patch", "input": "*** "}}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "Begin"}}]}),
        chunk({}, "tool_calls"),
    )
    assert deltas_of(content) == [
        ("custom_tool_call_input.delta", "*** "),
        ("custom_tool_call_input.delta", "Begin"),
    ]
    assert read_stream(content)["output"][0]["input"] == "*** Begin"


def test_log_probabilities_come_with_their_text() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    content = write(
        chunk({"content": "Hi"}, logprobs={"content": [token], "refusal": None}),
        chunk({}, "stop"),
    )
    [delta] = [event for event in split_events(content) if event["type"].endswith("text.delta")]
    assert delta["logprobs"] == [token]
    assert read_stream(content)["output"][0]["content"][0]["logprobs"] == [token]


def test_an_annotation_has_an_event_before_its_text_is_done() -> None:
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    annotations = [{"type": "url_citation", "url_citation": citation}]
    content = write(chunk({"content": "Hi"}), chunk({"annotations": annotations}, "stop"))
    kinds = types_of(content)
    place = kinds.index("output_text.annotation.added")
    assert kinds[place - 1 : place + 2] == [
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
    ]
    [part] = read_stream(content)["output"][0]["content"]
    assert part["annotations"] == [{"type": "url_citation", **citation}]


def test_another_choice_is_no_part_of_the_response() -> None:
    other = chunk({"content": "Bye"})
    other["choices"][0]["index"] = 1
    response = read_stream(write(chunk({"content": "Hi"}), other, chunk({}, "stop")))
    assert response["output"][0]["content"][0]["text"] == "Hi"


@each(
    "reason, expected",
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_a_reply_that_was_cut_short_is_incomplete(reason: str, expected: str) -> None:
    response = read_stream(write(chunk({"content": "Hi"}), chunk({}, reason)))
    assert response["status"] == response["output"][0]["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": expected}


@each(
    "error, code",
    [
        (UpstreamError("It broke."), "server_error"),
        (RateLimited("Slower."), "rate_limit_exceeded"),
        (UpstreamError("Too long.", status=400), "invalid_prompt"),
        (
            UpstreamError("Too long.", status=400, code="context_length_exceeded"),
            "context_length_exceeded",
        ),
        (NativeError(), "server_error"),
    ],
)
def test_a_failure_is_the_last_event_and_has_its_message(error: NativeError, code: str) -> None:
    writer = ResponsesStreamWriter(parse_request())
    content = writer.feed([chunk({"content": "Hi"})])
    created, (told, failed) = split_events(content)[0], split_events(writer.fail(error))
    assert (told["type"], failed["type"]) == ("error", "response.failed")
    assert (told["code"], told["message"]) == (code, error.message)
    assert failed["sequence_number"] == len(split_events(content)) + 1
    assert failed["response"]["id"] == created["response"]["id"]
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == code
    assert failed["response"]["error"]["message"] == error.message
    assert failed["response"]["output"][0]["status"] == "incomplete"


def test_a_failure_before_all_else_has_a_beginning() -> None:
    content = ResponsesStreamWriter(parse_request()).fail(UpstreamError("It broke."))
    assert types_of(content) == ["created", "in_progress", "error", "failed"]


def test_finish_returns_what_close_writes() -> None:
    writer = ResponsesStreamWriter(parse_request(store=True))
    content = writer.feed([chunk({"content": "Hi"}), chunk({}, "stop"), usage_chunk()])
    response = writer.finish()
    assert response == writer.finish()
    writer.is_stored = False
    assert read_stream(content + writer.close()) == {**response, "store": False}
