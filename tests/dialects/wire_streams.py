"""Streams of Responses and Messages for tests of their editors: events as data, and what goes on of
them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Event, ForwardedEvent, Provider, Target

MODELS = {
    "openai_responses": "gpt-5",
    "anthropic": "claude-sonnet-4-6",
    "anthropic_vertex": "claude-sonnet-4-6",
    "anthropic_bedrock": "anthropic.claude-sonnet-4-6",
}


def make_target(wire: str) -> Target:
    return Target(Provider("p", wire, "https://api.example/v1"), MODELS[wire])


def make_editor(wire: str) -> Any:
    editor = DIALECTS[wire].editor(make_target(wire), {})
    assert editor is not None
    assert not editor.is_stamped
    return editor


def make_event(**members: Any) -> Event:
    return Event(members["type"], json.dumps(members, separators=(",", ":"), ensure_ascii=False))


def edit(wire: str, events: Iterable[Event]) -> list[ForwardedEvent]:
    """What goes on of a complete stream."""
    editor = make_editor(wire)
    passed = [item for event in events for item in editor.feed(event)]
    return [*passed, *editor.close(), *editor.last_events]


def parse(wire: str, events: Iterable[Event]) -> list[Any]:
    """The unified chunks of the same stream."""
    parser = DIALECTS[wire].stream(make_target(wire))
    return [*(chunk for event in events for chunk in parser.feed(event)), *parser.close()]


def as_events(forwarded: Sequence[ForwardedEvent]) -> list[Event]:
    """The events as they were sent; edited ones in JSON."""
    return [
        Event(item.type, json.dumps(item.edited) if item.data is None else item.data)
        for item in forwarded
    ]


# --- Responses -----------------------------------------------------------------------------------

ITEM = {"item_id": "msg_1", "output_index": 0}
PART = {**ITEM, "content_index": 0}


def say(text: str, **members: Any) -> Event:
    """A piece of text, in the order of members that OpenAI has had since 2026."""
    head = {"type": "response.output_text.delta", "delta": text, "logprobs": []}
    return make_event(**{**head, **PART, "sequence_number": 7, **members})


def build_response(**members: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "created_at": 1, "model": "gpt-5", "store": False}
    return {**head, "output": [], **members}


def build_message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


CREATED = make_event(type="response.created", sequence_number=0, response=build_response())
ADDED = make_event(
    type="response.output_item.added",
    sequence_number=1,
    output_index=0,
    item={**build_message(""), "content": []},
)


def complete(*output: Any, kind: str = "completed") -> Event:
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    response = build_response(output=list(output), usage=usage, status=kind)
    return make_event(type=f"response.{kind}", sequence_number=99, response=response)


# --- Messages ------------------------------------------------------------------------------------

STARTED = make_event(
    type="message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
)
ENDED = make_event(
    type="message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={"output_tokens": 5},
)
STOPPED = make_event(type="message_stop")


def start(index: int, **block: Any) -> Event:
    return make_event(type="content_block_start", index=index, content_block=block)


def add(index: int, kind: str, **piece: Any) -> Event:
    return make_event(
        type="content_block_delta", index=index, delta={"type": f"{kind}_delta", **piece}
    )


def stop(index: int) -> Event:
    return make_event(type="content_block_stop", index=index)


# --- both ------------------------------------------------------------------------------------------

WIRES = ("openai_responses", "anthropic")
ENDS = {"openai_responses": complete(build_message("ab")), "anthropic": STOPPED}
BEGINNINGS = {
    "openai_responses": [CREATED, ADDED, say("a"), say("b")],
    "anthropic": [
        STARTED,
        start(0, type="text", text=""),
        add(0, "text", text="a"),
        add(0, "text", text="b"),
    ],
}
"""A stream that has begun with two pieces of text."""
