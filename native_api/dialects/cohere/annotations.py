"""Cohere's citations as unified annotations.

Rules:
1. A citation becomes one `url_citation` for each of its sources, in the shape that strict clients
   accept, even if the source has no address. Its `text` and `source` hold the rest.
2. A citation of thinking or of the plan is kept in `provider_content`.
3. Cohere counts positions within one content block, annotations within the whole text.
"""

from __future__ import annotations

from typing import Any

from native_api.dialects.cohere.messages import WIRE
from native_api.dialects.shared.annotations import build_citation
from native_api.types import Json


class CitationBuilder:
    """Tracks where each content block begins in the whole text. The reader of the reply adds each
    text to `length`."""

    def __init__(self) -> None:
        self.length = 0
        self._block_starts: list[int | None] = []
        """Where each block begins in the whole text, None for a block that is not text."""

    def begin_block(self, kind: Any) -> None:
        self._block_starts.append(self.length if kind == "text" else None)

    def build_items(self, citation: Json, block_index: int) -> list[tuple[str, Json]]:
        """The items for a citation, each with the message field that it belongs to. `block_index`
        is the index of the next block of `provider_content`."""
        index = citation.get("content_index")
        start: int | None = 0
        if isinstance(index, int) and index < len(self._block_starts):
            start = self._block_starts[index]
        if start is None or citation.get("type") not in (None, "TEXT_CONTENT"):
            block = {"type": "citation", "citation": citation}
            return [("provider_content", build_provider_item(block_index, block))]
        span = {
            "start_index": start + (citation.get("start") or 0),
            "end_index": start + (citation.get("end") or 0),
        }
        sources: list[Json] = citation.get("sources") or [{}]
        return [("annotations", _build_annotation(citation, source, span)) for source in sources]


def _build_annotation(citation: Json, source: Json, span: Json) -> Json:
    document = source.get("document") or source.get("tool_output") or {}
    url, title = None, None
    if isinstance(document, dict):
        url, title = document.get("url"), document.get("title")
    members = {
        "url": str(url or ""),
        "title": str(title or source.get("id") or ""),
        **span,
        "text": citation.get("text") or "",
    }
    if source:
        members["source"] = source
    return build_citation(members, 0, 0)


def build_provider_item(index: int, block: Json) -> Json:
    """The item of `provider_content` for a block of Cohere's."""
    return {"format": WIRE, "index": index, "block": block}
