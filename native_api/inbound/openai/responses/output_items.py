"""The items of a response's output as they grow: messages, reasoning, calls of the client's tools,
and items that come whole. Source: https://platform.openai.com/docs/api-reference/responses/object
(read 2026-11).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from native_api.dialects.shared.call_arguments import is_object
from native_api.inbound.openai.responses.unify_tools import ToolName
from native_api.types import Json

OUTPUT_TEXT: Final = "output_text"
REFUSAL: Final = "refusal"
SUMMARY_TEXT: Final = "summary_text"
ARGUMENTS: Final = "arguments"
INPUT: Final = "input"

IMAGE_FORMATS: Final = frozenset({"png", "webp", "jpeg", "gif", "svg"})

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"


class Part:
    """One text of an item. `kind` is its type, or the member of a call that it is.

    `start` counts the characters of the reply's text before it. `template` belongs to the writer of
    the events.
    """

    __slots__ = ("annotations", "index", "kind", "pieces", "start", "template", "tokens")

    def __init__(self, kind: str, index: int, start: int = 0) -> None:
        self.kind, self.index, self.start = kind, index, start
        self.pieces: list[str] = []
        self.annotations: list[Json] = []
        self.tokens: list[Json] = []
        self.template: tuple[bytes, bytes] | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def build(self) -> Json:
        """The part of a message or of reasoning."""
        if self.kind == REFUSAL:
            return {"type": REFUSAL, "refusal": self.text}
        if self.kind == SUMMARY_TEXT:
            return {"type": SUMMARY_TEXT, "text": self.text}
        return {
            "type": OUTPUT_TEXT,
            "text": self.text,
            "annotations": list(self.annotations),
            "logprobs": list(self.tokens),
        }


class OutputItem:
    """One item. It `has_ended` once another item has begun, and is done once nothing can be added.

    `key` is the response's: the id is the same in the complete and in the streamed form.
    """

    __slots__ = ("has_ended", "index", "is_done", "is_incomplete", "item_id", "parts")

    prefix: ClassVar[str] = "item"

    def __init__(self, key: str, index: int) -> None:
        self.index = index
        self.item_id = f"{self.prefix}_{key}{index:04x}"
        self.parts: list[Part] = []
        self.has_ended = self.is_done = self.is_incomplete = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be added, although the reply goes on."""
        return self.has_ended

    @property
    def status(self) -> str:
        if not self.is_done:
            return IN_PROGRESS
        return INCOMPLETE if self.is_incomplete else COMPLETED

    def build(self) -> Json:
        raise NotImplementedError


class OutputListener:
    """Follows the output as it grows. This one does nothing, for complete replies."""

    def on_item_added(self, item: OutputItem) -> None: ...
    def on_part_added(self, item: OutputItem, part: Part) -> None: ...
    def on_piece(self, item: OutputItem, part: Part, piece: str, tokens: list[Json]) -> None: ...
    def on_annotation(self, item: OutputItem, part: Part, annotation: Json) -> None: ...
    def on_part_done(self, item: OutputItem, part: Part) -> None: ...
    def on_item_done(self, item: OutputItem) -> None: ...


class MessageItem(OutputItem):
    """Text and refusal of the model."""

    __slots__ = ("phase",)

    prefix = "msg"

    def __init__(self, key: str, index: int, phase: str | None = None) -> None:
        super().__init__(key, index)
        self.phase = phase

    def build(self) -> Json:
        item: Json = {
            "id": self.item_id,
            "type": "message",
            "status": self.status,
            "role": "assistant",
            "content": [part.build() for part in self.parts],
        }
        return {**item, "phase": self.phase} if self.phase else item


class ReasoningItem(OutputItem):
    """Reasoning for people, and what the provider needs back, sealed."""

    __slots__ = ("encrypted_content",)

    prefix = "rs"

    def __init__(self, key: str, index: int) -> None:
        super().__init__(key, index)
        self.encrypted_content: str | None = None

    def build(self) -> Json:
        return {
            "id": self.item_id,
            "type": "reasoning",
            "summary": [part.build() for part in self.parts],
            "encrypted_content": self.encrypted_content,
            "status": self.status,
        }


class CallItem(OutputItem):
    """A call of one of the client's tools."""

    __slots__ = ("call_id", "tool")

    item_type: ClassVar[str] = "function_call"
    argument_kind: ClassVar[str] = ARGUMENTS
    prefix = "fc"

    def __init__(self, key: str, index: int, call_id: str, tool: ToolName) -> None:
        super().__init__(key, index)
        self.call_id, self.tool = call_id, tool
        self.parts.append(Part(self.argument_kind, 0))

    @property
    def is_complete(self) -> bool:
        """Providers may write the arguments of several calls in turns."""
        return self.has_ended and is_object(self.parts[0].text)

    def build(self) -> Json:
        return {
            "id": self.item_id,
            "type": self.item_type,
            "status": self.status,
            "call_id": self.call_id,
            "name": self.tool.name,
            **({"namespace": self.tool.namespace} if self.tool.namespace else {}),
            self.argument_kind: self.parts[0].text,
        }


class CustomCallItem(CallItem):
    """A call whose input is free text."""

    __slots__ = ()

    item_type = "custom_tool_call"
    argument_kind = INPUT
    prefix = "ctc"

    @property
    def is_complete(self) -> bool:
        """Free text does not show its end."""
        return False


class ImageItem(OutputItem):
    """An image that the model made. `result` is base64."""

    __slots__ = ("output_format", "result")

    prefix = "ig"

    def __init__(self, key: str, index: int, media_type: str, result: str) -> None:
        super().__init__(key, index)
        subtype = media_type.partition("/")[2].removesuffix("+xml")
        self.output_format = subtype if subtype in IMAGE_FORMATS else "png"
        self.result = result

    def build(self) -> Json:
        return {
            "id": self.item_id,
            "type": "image_generation_call",
            "status": self.status,
            "output_format": self.output_format,
            "result": self.result if self.is_done else None,
        }


class ServerItem(OutputItem):
    """An item of a provider's own tool, as a provider of this API wrote it."""

    __slots__ = ("members",)

    def __init__(self, key: str, index: int, members: Any) -> None:
        super().__init__(key, index)
        self.members = members
        self.item_id = str(members.get("id") or self.item_id)

    def build(self) -> Json:
        return {**self.members, "id": self.item_id}
