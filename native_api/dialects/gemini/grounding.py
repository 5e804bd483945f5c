"""What an answer rests on, as OpenAI's `url_citation` annotations: grounding and citation metadata.

Gemini counts positions in UTF-8 bytes, annotations in characters
(https://ai.google.dev/api/generate-content#GroundingSupport and #CitationSource, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

from native_api.types import Json


def sources(text: str, about: list[Json]) -> list[Json]:
    """The annotations of an answer whose whole text is known, each once. The URL of a source
    without an address is empty: strict clients take no other kind of annotation."""
    places = _Places(text)
    found: list[Json] = []
    for metadata in about:
        for source, (start, end) in _all(metadata, places):
            url, title = str(source.get("uri") or ""), str(source.get("title") or "")
            told = {
                "type": "url_citation",
                "url_citation": {
                    "url": url,
                    "title": title,
                    "start_index": start,
                    "end_index": end,
                },
            }
            if told not in found:
                found.append(told)
    return found


class _Places:
    """Byte positions as character positions; plain ASCII, the usual case, needs no counting."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._bytes = b"" if text.isascii() else text.encode()

    def span(self, segment: Json) -> tuple[int, int]:
        start, end = int(segment.get("startIndex") or 0), int(segment.get("endIndex") or 0)
        if self._bytes:
            start, end = self._characters(start), self._characters(end)
        words = segment.get("text")
        # Positions are those of one part, and text of several parts is joined in ours.
        if words and self.text[start:end] != words:
            found = self.text.find(words)
            if found >= 0:
                return found, found + len(words)
        return start, end

    def _characters(self, position: int) -> int:
        return len(self._bytes[:position].decode("utf-8", "ignore"))


def _all(metadata: Json, places: _Places) -> Iterator[tuple[Json, tuple[int, int]]]:
    """What is told about each source, and the characters that rest on it."""
    grounding = metadata.get("groundingMetadata")
    if isinstance(grounding, dict):
        yield from _grounded(grounding, places)
    citations = metadata.get("citationMetadata")
    if isinstance(citations, dict):
        # The Gemini API's name, then Vertex AI's.
        for source in citations.get("citationSources") or citations.get("citations") or ():
            yield source, places.span(source)


def _grounded(grounding: Json, places: _Places) -> Iterator[tuple[Json, tuple[int, int]]]:
    chunks: list[Json] = grounding.get("groundingChunks") or []
    supports: list[Json] = grounding.get("groundingSupports") or []
    for support in supports:
        span = places.span(support.get("segment") or {})
        for index in support.get("groundingChunkIndices") or ():
            if 0 <= index < len(chunks):
                yield _source(chunks[index]), span
    if not supports:
        for chunk in chunks:
            yield _source(chunk), (0, len(places.text))


def _source(chunk: Json) -> Json:
    """What is told about a source, whatever its kind is (`web`, `maps`, `retrievedContext`…)."""
    return next((source for source in chunk.values() if isinstance(source, dict)), chunk)
