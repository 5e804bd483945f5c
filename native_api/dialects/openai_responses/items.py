"""Output items of the Responses API: how much of one was sent, annotations and images. Source:
https://platform.openai.com/docs/api-reference/responses/object (read 2026-11).
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.annotations import build_url_citation
from native_api.types import Json

WIRE: Final = "openai_responses"

CALLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""Type of an item -> type of the unified call, and the member of both with its arguments."""
INDEX_MEMBERS: Final = ("start_index", "end_index")


class OutputItem:
    """How much of one output item was sent to the client."""

    __slots__ = (
        "call_index",
        "counts",
        "detail_indexes",
        "lengths",
        "offsets",
        "part_starts",
        "pending_arguments",
        "reasoning",
    )

    def __init__(self, offsets: Json, reasoning: int) -> None:
        self.offsets = offsets
        self.reasoning = reasoning
        self.call_index: int | None = None
        self.detail_indexes: dict[tuple[str, int], int] = {}
        self.lengths: dict[tuple[str, int], int] = {}
        """(kind of text, index of the part) -> characters."""
        self.counts: dict[tuple[str, int], int] = {}
        """("annotation" or "logprobs", index of the part) -> how many."""
        self.part_starts: dict[int, int] = {}
        self.pending_arguments = ""


def build_annotation(annotation: Json, start: int) -> Json:
    """OpenAI's nested `url_citation`. Its indexes count from the start of the whole content."""
    span = {
        name: annotation[name] + start
        for name in INDEX_MEMBERS
        if isinstance(annotation.get(name), int)
    }
    if annotation.get("type") != "url_citation":
        return build_url_citation(annotation, span)
    citation = {name: value for name, value in {**annotation, **span}.items() if name != "type"}
    return {"type": "url_citation", "url_citation": citation}


def build_image(output: Json) -> Json:
    """A delta with the image of an `image_generation_call`, empty for any other item."""
    if output.get("type") != "image_generation_call" or not output.get("result"):
        return {}
    output_format = output.get("output_format") or "png"
    subtype = "svg+xml" if output_format == "svg" else output_format
    url = f"data:image/{subtype};base64,{output['result']}"
    return {"images": [{"type": "image_url", "image_url": {"url": url}}]}
