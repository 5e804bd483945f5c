"""What the recordings of Cohere do not cover: recorded requests as the expectation, replies sent
back, malformed events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target
from tests.dialects.stream_folding import fold

DIALECT = DIALECTS["cohere"]
PROVIDER = Provider("p", "cohere", "https://api.cohere.com/v2")
TARGET = Target(PROVIDER, "command-a-reasoning-08-2025")
CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus" / "cohere"
CORPUS_RECORDINGS = [json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))]
OWN_RECORDINGS = [
    json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "recordings" / "cohere").glob("*.json"))
]


def build_turns(*messages: Any) -> Any:
    chat: ChatRequest = {"model": "c", "messages": list(messages)}
    return DIALECT.request(chat, TARGET).body["messages"]


def read_message(body: Any) -> Any:
    return DIALECT.response(json.loads(json.dumps(body)), TARGET)["choices"][0]["message"]


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not CORPUS_RECORDINGS,
    reason="The recordings are not beside this repository (../shared/corpus).",
)
@pytest.mark.parametrize("recording", CORPUS_RECORDINGS, ids=lambda recording: recording["id"])
def test_a_unified_request_becomes_the_body_that_cohere_accepted(
    recording: dict[str, Any],
) -> None:
    body = recording["request"]
    chat = {
        **body,
        **({"tool_choice": body["tool_choice"].lower()} if "tool_choice" in body else {}),
    }
    assert DIALECT.request(chat, Target(PROVIDER, body["model"])).body == body  # type: ignore[arg-type]


MESSAGES = [
    *(case["reply"]["message"] for case in OWN_RECORDINGS if "reply" in case),
    *(recording["body"]["message"] for recording in CORPUS_RECORDINGS),
]


def summarize(message: dict[str, Any]) -> dict[str, Any]:
    """What Cohere takes back of a message: no citations, and no blocks of other kinds."""
    content = [
        block for block in message.get("content") or () if block["type"] in ("text", "thinking")
    ]
    text = "".join(block["text"] for block in content if block["type"] == "text")
    calls = message.get("tool_calls") or []
    thoughts = [block["thinking"] for block in content if block["type"] == "thinking"]
    return {
        "text": text,
        "thoughts": thoughts,
        "plan": message.get("tool_plan") or "",
        "calls": [fill_arguments(call) for call in calls],
    }


def fill_arguments(call: dict[str, Any]) -> dict[str, Any]:
    return {
        **call,
        "function": {**call["function"], "arguments": call["function"]["arguments"] or "{}"},
    }


def as_blocks(turn: dict[str, Any]) -> dict[str, Any]:
    content = turn.get("content")
    return (
        {**turn, "content": [{"type": "text", "text": content}]}
        if isinstance(content, str)
        else turn
    )


@pytest.mark.parametrize(
    "message", [message for message in MESSAGES if "json_response" not in json.dumps(message)]
)
def test_a_reply_is_sent_back_as_it_came(message: dict[str, Any]) -> None:
    turns = build_turns(
        {"role": "user", "content": "Hi"},
        read_message({"message": message}),
        {"role": "user", "content": "And?"},
    )
    sent = turns[1] if len(turns) == 3 else {}
    assert summarize(as_blocks(sent)) == summarize(message)


# --- streams -------------------------------------------------------------------------------------


def read_chunks(*events: Any, is_closed: bool = True) -> list[Any]:
    parser = DIALECT.stream(TARGET)
    data = [event if isinstance(event, str) else json.dumps(event) for event in events]
    chunks = [chunk for text in data for chunk in parser.feed(Event("", text))]
    return [*chunks, *(parser.close() if is_closed else ())]


END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


@pytest.mark.parametrize(
    "event",
    [
        [],
        {"type": "content-start", "index": 0},
        {"type": "content-delta", "index": 0, "delta": None},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": None}}}},
        {"type": "content-end", "index": 9},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": None}}},
        {"type": "tool-call-delta", "index": 3, "delta": {"message": {"tool_calls": []}}},
        {"type": "tool-call-end", "index": 3},
        {"type": "citation-start", "delta": {"message": {"citations": []}}},
        {"type": "citation-end"},
        {"type": "debug", "prompt": "<turn>"},
        {"type": "not-known-yet", "delta": {"message": {"content": {"text": "x"}}}},
        "[DONE]",
    ],
    ids=str,
)
def test_empty_and_unknown_events_are_ignored(event: Any) -> None:
    [choice] = fold(read_chunks({"type": "message-start", "id": "a"}, event, END))
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": None},
        "finish_reason": "stop",
    }


def test_text_without_a_start_event_is_text() -> None:
    [choice] = fold(
        read_chunks(
            {
                "type": "content-delta",
                "index": 0,
                "delta": {"message": {"content": {"text": "Hi"}}},
            },
            END,
        )
    )
    assert choice["message"] == {"role": "assistant", "content": "Hi"}


def test_blocks_without_a_type_are_recognized_by_their_members() -> None:
    contents = [{"thinking": "Hm"}, {"text": "H"}]
    starts = [
        {"type": "content-start", "index": index, "delta": {"message": {"content": c}}}
        for index, c in enumerate(contents)
    ]
    late = {"type": "content-delta", "index": 1, "delta": {"message": {"content": {"text": "i"}}}}
    [choice] = fold(read_chunks(*starts, late, END))
    assert choice["message"] == read_message(
        {"message": {"content": [{"thinking": "Hm"}, {"text": "Hi"}]}}
    )
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("Hi", "Hm")


def test_events_after_the_end_are_ignored() -> None:
    late = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}}
    assert read_chunks(END, late, END) == read_chunks(END)


def test_every_chunk_has_the_id() -> None:
    chunks = read_chunks({"type": "message-start", "id": "r1"}, END)
    assert {chunk["id"] for chunk in chunks} == {"r1"}


def test_the_usage_before_an_error_is_known() -> None:
    parser = DIALECT.stream(TARGET)
    delta = {
        "finish_reason": "ERROR",
        "error": "failed",
        "usage": {"tokens": {"input_tokens": 3, "output_tokens": 4}},
    }
    with pytest.raises(UpstreamError):
        list(parser.feed(Event("message-end", json.dumps({"delta": delta}))))
    assert parser.usage
    assert parser.usage["total_tokens"] == 7


# --- complete replies ----------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT"])
def test_a_failed_reply_is_an_error(reason: str) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.response(
            {"id": "r", "finish_reason": reason, "message": {"role": "assistant", "content": []}},
            TARGET,
        )


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="no such thing"):
        DIALECT.response({"id": "r", "message": "no such thing"}, TARGET)


def test_content_as_a_plain_string_is_text() -> None:
    assert read_message({"message": {"role": "assistant", "content": "Hi"}})["content"] == "Hi"


def test_images_of_results_follow_in_a_users_turn_after_the_last_result() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for call_id in ("c1", "c2")
    ]
    chat: Any = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": [image]},
            {"role": "tool", "tool_call_id": "c2", "content": "green"},
        ],
    }
    turns = DIALECT.request(chat, TARGET).body["messages"][2:]
    assert [turn["role"] for turn in turns] == ["tool", "tool", "user"]
    assert turns[0]["content"] == "See the next message."
    assert turns[2]["content"] == [
        {"type": "text", "text": "From the result of the tool call c1:"},
        image,
    ]
