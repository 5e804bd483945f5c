"""The sources of an answer, as OpenAI's `url_citation` annotations, from Gemini's grounding and
citation metadata.

Gemini counts positions in UTF-8 bytes, annotations in characters
(https://ai.google.dev/api/generate-content#GroundingSupport and #CitationSource, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

from native_api.dialects.shared.annotations import build_citation
from native_api.types import Json

Span = tuple[int, int]
"""Where a citation starts and ends in the answer's text, in characters."""


def build_annotations(text: str, metadata: list[Json]) -> list[Json]:
    """The annotations of an answer whose whole text is known, each once.

    The URL of a source without an address is empty, because strict clients accept no other kind of
    annotation.
    """
    positions = _TextPositions(text)
    annotations: list[Json] = []
    for item in metadata:
        for source, span in _walk_sources(item, positions):
            annotation = _build_annotation(source, span)
            if annotation not in annotations:
                annotations.append(annotation)
    return annotations


def _build_annotation(source: Json, span: Span) -> Json:
    members = {"url": str(source.get("uri") or ""), "title": str(source.get("title") or "")}
    return build_citation(members, *span)


class _TextPositions:
    """Byte positions in a text as character positions. Plain ASCII, the usual case, needs no
    conversion."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._bytes = b"" if text.isascii() else text.encode()

    def find_span(self, segment: Json) -> Span:
        """Where a segment stands in the text. Its own positions count within one part, but our text
        joins several parts, so a segment that is not there is searched for."""
        start, end = int(segment.get("startIndex") or 0), int(segment.get("endIndex") or 0)
        if self._bytes:
            start, end = self._to_characters(start), self._to_characters(end)
        words = segment.get("text")
        if words and self.text[start:end] != words:
            index = self.text.find(words)
            if index >= 0:
                return index, index + len(words)
        return start, end

    def _to_characters(self, byte_position: int) -> int:
        return len(self._bytes[:byte_position].decode("utf-8", "ignore"))


def _walk_sources(metadata: Json, positions: _TextPositions) -> Iterator[tuple[Json, Span]]:
    """Each source with the part of the text that it supports."""
    grounding = metadata.get("groundingMetadata")
    if isinstance(grounding, dict):
        yield from _walk_grounding_sources(grounding, positions)
    citations = metadata.get("citationMetadata")
    if isinstance(citations, dict):
        # The first name is the Gemini API's, the second Vertex AI's.
        for source in citations.get("citationSources") or citations.get("citations") or ():
            yield source, positions.find_span(source)


def _walk_grounding_sources(
    grounding: Json, positions: _TextPositions
) -> Iterator[tuple[Json, Span]]:
    chunks: list[Json] = grounding.get("groundingChunks") or []
    supports: list[Json] = grounding.get("groundingSupports") or []
    for support in supports:
        span = positions.find_span(support.get("segment") or {})
        for index in support.get("groundingChunkIndices") or ():
            if 0 <= index < len(chunks):
                yield _find_source(chunks[index]), span
    if not supports:
        for chunk in chunks:
            yield _find_source(chunk), (0, len(positions.text))


def _find_source(chunk: Json) -> Json:
    """The source in a grounding chunk of any kind (`web`, `maps`, `retrievedContext`…)."""
    return next((source for source in chunk.values() if isinstance(source, dict)), chunk)
