"""A stream of Anthropic's events: https://platform.claude.com/docs/en/build-with-claude/streaming
(read 2026-11).

`message_start`; for each block `content_block_start`, deltas and `content_block_stop`; then
`message_delta` with the stop reason and all token counts, which no chunk before the last one has;
`message_stop`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.exceptions import NativeError
from native_api.inbound.anthropic.errors import error_envelope
from native_api.inbound.anthropic.messages.forward import name_model, seal_event
from native_api.inbound.anthropic.messages.reply import (
    begin_blocks,
    build_ending,
    build_head,
)
from native_api.inbound.anthropic.messages.reply_ending import build_usage
from native_api.inbound.base import ParsedRequest, StreamWriter, to_json
from native_api.inbound.deltas import iterate_deltas
from native_api.inbound.forwarded_events import (
    find_kind,
    frame_event,
    join_events,
    write_edited,
)
from native_api.inbound.sealed import find_seal
from native_api.types import ForwardedEvent, Json

PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
START, STOP = "message_start", "message_stop"
READ: Final = frozenset({"", START, STOP})
"""Events of a provider that are read although no dialect has edited them; "" has no name."""

TEXT_EVENT: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"text_delta","text":%b}}\n\n'
)


class MessagesStreamWriter(StreamWriter):
    """Writes the events of one message, or passes on those of a provider."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self._parsed = parsed
        self._seal = find_seal(parsed)
        self._blocks = begin_blocks(parsed)
        self._ending: Json = {}
        """What the last choice says of the end."""
        self._usage: Any = None
        self._tier: str | None = None
        self._is_started = False
        self._is_forwarded = False
        self._is_stopped = False

    def feed(self, chunks: Iterable[Any]) -> bytes:
        return b"".join([self._write(chunk) for chunk in chunks])

    def _write(self, chunk: Any) -> bytes:
        choices, index = chunk["choices"], self._blocks.open_text
        if index is not None and len(choices) == 1:
            choice = choices[0]
            delta = choice["delta"]
            is_text = len(delta) == 1 and delta.get("content")
            if is_text and choice["index"] == 0 and not choice.get("finish_reason"):
                return TEXT_EVENT % (index, orjson.dumps(delta["content"]))
        return self._write_any(chunk)

    def _write_any(self, chunk: Any) -> bytes:
        is_first, events = not self._is_started, self._start(chunk)
        self._usage = chunk.get("usage") or self._usage
        self._tier = chunk.get("service_tier") or self._tier
        for choice in chunk["choices"]:
            if choice["index"] == 0:
                is_whole = is_first and bool(choice.get("finish_reason"))
                for delta in iterate_deltas(choice["delta"]) if is_whole else (choice["delta"],):
                    events += self._blocks.add(delta)
                self._ending = choice if choice.get("finish_reason") else self._ending
        return encode(events)

    def _start(self, chunk: Any) -> list[Json]:
        """The event that begins the message. Its token counts are not known yet."""
        if self._is_started:
            return []
        self._is_started = True
        message = {
            **build_head(self._parsed, chunk),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": build_usage(None, chunk.get("service_tier")),
        }
        return [{"type": "message_start", "message": message}]

    def forward(self, events: Iterable[ForwardedEvent]) -> bytes:
        self._is_forwarded = True
        return join_events(events, READ, self._forward_read)

    def _forward_read(self, event: ForwardedEvent) -> str:
        """The text of an event that is edited, has no name, or begins or ends the message."""
        members = event.read()
        kind = find_kind(event, members)
        self._is_stopped = self._is_stopped or kind == STOP
        edited = seal_event(members, self._seal) if event.data is None else members
        if kind == START:
            edited = name_model(self._parsed, edited)
        return write_edited(event, kind, members, edited)

    def ping(self) -> bytes:
        return PING

    def fail(self, error: NativeError) -> bytes:
        return encode([error_envelope(error)])

    def close(self) -> bytes:
        if self._is_stopped:
            return b""
        stop = {"type": STOP}
        if self._is_forwarded:
            return encode([stop])
        events = [*self._start({}), *self._blocks.finish()]
        delta = build_ending(self._parsed, self._ending, self._blocks)
        management = {name: delta.pop(name) for name in ("context_management",) if name in delta}
        usage = build_usage(self._usage, self._tier)
        events.append({"type": "message_delta", "delta": delta, "usage": usage, **management})
        return encode([*events, stop])


def encode(events: Iterable[Json]) -> bytes:
    """The bytes of these events."""
    return b"".join([frame_event(event["type"], to_json(event)) for event in events])
