"""The events of a response's stream:
https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from native_api.inbound.base import to_json
from native_api.inbound.forwarded_events import frame_event
from native_api.inbound.openai.responses.output_items import (
    ARGUMENTS,
    INPUT,
    OUTPUT_TEXT,
    REFUSAL,
    SUMMARY_TEXT,
    OutputItem,
    OutputListener,
    Part,
)
from native_api.types import Json


class PartEvents(NamedTuple):
    """The events of one kind of text: their common name, the member of the last with the whole
    text, the member with the index, and the name of the events around them."""

    name: str
    member: str
    index_name: str = ""
    frame: str = ""


PART_EVENTS: Final = {
    OUTPUT_TEXT: PartEvents("output_text", "text", "content_index", "content_part"),
    REFUSAL: PartEvents("refusal", "refusal", "content_index", "content_part"),
    SUMMARY_TEXT: PartEvents(
        "reasoning_summary_text", "text", "summary_index", "reasoning_summary_part"
    ),
    ARGUMENTS: PartEvents("function_call_arguments", "arguments"),
    INPUT: PartEvents("custom_tool_call_input", "input"),
}


class EventWriter(OutputListener):
    """Writes numbered events. `take` returns those that were not taken yet."""

    def __init__(self) -> None:
        self.sequence_number = 0
        """That of the next event."""
        self._events: list[bytes] = []

    def take(self) -> bytes:
        events, self._events = b"".join(self._events), []
        return events

    def write(self, name: str, members: Json) -> None:
        """Write the event `response.NAME`."""
        self._write(f"response.{name}", members)

    def write_failure(self, response: Json) -> None:
        """Write the end of a response that failed.

        OpenAI's SDK raises its error for the first event, as it does for OpenAI's own, and for no
        other. Codex shows the message of the second.
        """
        error = response["error"]
        members = {name: error.get(name) for name in ("code", "message", "param")}
        self._write("error", {**members, "error": error})
        self.write("failed", {"response": response})

    def _write(self, kind: str, members: Json) -> None:
        data = to_json({"type": kind, **members, "sequence_number": self.sequence_number})
        self._events.append(frame_event(kind, data))
        self.sequence_number += 1

    # --- items -----------------------------------------------------------------------------------

    def on_item_added(self, item: OutputItem) -> None:
        self.write("output_item.added", {"output_index": item.index, "item": item.build()})

    def on_item_done(self, item: OutputItem) -> None:
        self.write("output_item.done", {"output_index": item.index, "item": item.build()})

    def on_part_added(self, item: OutputItem, part: Part) -> None:
        members = {**_locate(item, part), "part": part.build()}
        self.write(f"{PART_EVENTS[part.kind].frame}.added", members)

    def on_part_done(self, item: OutputItem, part: Part) -> None:
        events, place = PART_EVENTS[part.kind], _locate(item, part)
        whole: Json = {events.member: part.text}
        if part.kind == OUTPUT_TEXT:
            whole["logprobs"] = part.tokens
        self.write(f"{events.name}.done", {**place, **whole})
        if events.frame:
            self.write(f"{events.frame}.done", {**place, "part": part.build()})

    def on_annotation(self, item: OutputItem, part: Part, annotation: Json) -> None:
        index = len(part.annotations) - 1
        members = {**_locate(item, part), "annotation_index": index, "annotation": annotation}
        self.write("output_text.annotation.added", members)

    def on_piece(self, item: OutputItem, part: Part, piece: str, tokens: list[Json]) -> None:
        if tokens:
            members = {**_locate(item, part), "delta": piece, "logprobs": tokens}
            self.write(f"{PART_EVENTS[part.kind].name}.delta", members)
            return
        # All but the text and the number is the same for each piece.
        before, after = part.template or _make_template(item, part)
        self._events.append(
            b"%b%b%b%d}\n\n" % (before, orjson.dumps(piece), after, self.sequence_number)
        )
        self.sequence_number += 1


def _locate(item: OutputItem, part: Part) -> Json:
    """The members that say which text of which item an event is about."""
    place: Json = {"item_id": item.item_id, "output_index": item.index}
    index_name = PART_EVENTS[part.kind].index_name
    return {**place, index_name: part.index} if index_name else place


def _make_template(item: OutputItem, part: Part) -> tuple[bytes, bytes]:
    """What stands before and after the text in the events of its pieces."""
    kind = f"response.{PART_EVENTS[part.kind].name}.delta"
    members: dict[str, Any] = {"type": kind, **_locate(item, part)}
    before = frame_event(kind, to_json(members)).removesuffix(b"}\n\n") + b',"delta":'
    after = b',"logprobs":[],' if part.kind == OUTPUT_TEXT else b","
    part.template = (before, after + b'"sequence_number":')
    return part.template
