"""Annotations of any kind as OpenAI's `url_citation`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from native_api.types import Json


def build_url_citation(annotation: Json, span: Mapping[str, int] | None = None) -> Json:
    """An annotation of any kind as OpenAI's `url_citation`, the only kind strict clients accept.

    `source` is the annotation as it came. The URL is empty.
    """
    file = annotation.get("file")
    title = (
        annotation.get("title")
        or annotation.get("filename")
        or (file.get("name") if isinstance(file, dict) else None)
    )
    indexes = {"start_index": 0, "end_index": 0, **(span or {})}
    indexes |= {
        name: annotation[name]
        for name in indexes
        if span is None and isinstance(annotation.get(name), int)
    }
    return {
        "type": "url_citation",
        "url_citation": {"url": "", "title": str(title or ""), **indexes, "source": annotation},
    }


def restore_annotation(annotation: Json) -> Json:
    """The annotation that `build_url_citation` was given; any other annotation as it is."""
    citation = annotation.get("url_citation")
    source = citation.get("source") if isinstance(citation, dict) else None
    return source if isinstance(source, dict) and "type" in source else annotation
