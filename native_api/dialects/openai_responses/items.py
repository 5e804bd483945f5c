"""Output items of the Responses API: how much of one was sent, annotations and images. Source:
https://platform.openai.com/docs/api-reference/responses/object (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from native_api.dialects.shared.annotations import build_citation, build_url_citation
from native_api.dialects.shared.call_arguments import CallArguments
from native_api.types import Json

WIRE: Final = "openai_responses"

CALLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""Type of an item -> type of the unified call, and the member of both with its arguments."""
PARAGRAPH: Final = "\n\n"
"""Between two messages, and between two texts of reasoning."""
INDEX_MEMBERS: Final = ("start_index", "end_index")


class Part:
    """How much of one text of an item was sent.

    `start` is where it stands in the content, `detail_index` the index of its reasoning detail.
    """

    __slots__ = ("annotation_count", "detail_index", "has_logprobs", "length", "start")

    def __init__(self) -> None:
        self.length = self.annotation_count = 0
        self.has_logprobs = False
        self.start: int | None = None
        self.detail_index: int | None = None


class OutputItem:
    """How much of one output item was sent to the client.

    `offsets`, `reasoning` and `blocks` say what stood before it. `argument_length` counts the
    characters of a call's arguments that came.
    """

    __slots__ = (
        "argument_length", "arguments", "blocks", "call_index", "content_start", "has_block",
        "has_details", "has_encrypted", "is_paragraph", "is_server_call", "offsets", "paragraph",
        "parts", "pending_arguments", "placeholder_id", "reasoning",
    )  # fmt: skip

    def __init__(self, offsets: Json, reasoning: int, blocks: int) -> None:
        self.offsets, self.reasoning, self.blocks = offsets, reasoning, blocks
        self.parts: dict[str, dict[Any, Part]] = {}
        self.content_start: int | None = None
        self.is_paragraph = self.is_server_call = False
        self.has_details = self.has_encrypted = self.has_block = False
        self.paragraph: Json = {}
        self.placeholder_id = ""
        self.call_index: int | None = None
        self.arguments: CallArguments | None = None
        self.argument_length = 0
        self.pending_arguments = ""

    def get_part(self, kind: str, index: Any) -> Part:
        """The text of this kind (`text`, `refusal`, `summary`, `reasoning`) that events give this
        index."""
        parts = self.parts.setdefault(kind, {})
        part = parts.get(index)
        if part is None:
            part = parts[index] = Part()
        return part

    def match_parts(self, kind: str, texts: Sequence[tuple[int, str]]) -> list[Part]:
        """The part of each text of the finished item, given as (place in the item, text).

        Events should give a text's place as its index. Where a server counts over the whole
        response (gpt-oss at Bedrock, recorded 2026-08), the indexes do not fit the places; then
        the texts are matched in order.
        """
        sent = self.parts.get(kind, {})
        lengths = {place: len(text) for place, text in texts}
        if all(part.length <= lengths.get(index, -1) for index, part in sent.items()):
            return [self.get_part(kind, place) for place, _ in texts]
        parts = list(sent.values())[: len(texts)]
        return parts + [self.get_part(kind, ("late", place)) for place, _ in texts[len(parts) :]]


def build_annotation(annotation: Json, start: int, end: int) -> Json:
    """OpenAI's nested `url_citation`. Its indexes count from the start of the whole content.

    `start` and `end` are those of the annotated text.
    """
    span = {
        name: annotation[name] + start
        for name in INDEX_MEMBERS
        if type(annotation.get(name)) is int
    }
    if annotation.get("type") != "url_citation":
        return build_url_citation(annotation, span)
    members = {name: value for name, value in annotation.items() if name != "type"}
    return build_citation({**members, **span}, start, end)


def build_image(output: Json) -> Json:
    """A delta with the image of an `image_generation_call`, empty for any other item."""
    if output.get("type") != "image_generation_call" or not output.get("result"):
        return {}
    output_format = output.get("output_format") or "png"
    subtype = "svg+xml" if output_format == "svg" else output_format
    url = f"data:image/{subtype};base64,{output['result']}"
    return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
