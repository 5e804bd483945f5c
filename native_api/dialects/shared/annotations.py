"""Sources of any kind as OpenAI's `url_citation`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from native_api.types import Json


def build_url_citation(told: Json, span: Mapping[str, int] | None = None) -> Json:
    """An annotation of any kind as OpenAI's `url_citation`: strict clients take no other. `source`
    is it as it came.

    The URL of a source without an address is empty.
    """
    file = told.get("file")
    title = (
        told.get("title")
        or told.get("filename")
        or (file.get("name") if isinstance(file, dict) else None)
    )
    place = {"start_index": 0, "end_index": 0, **(span or {})}
    place |= {
        name: told[name] for name in place if span is None and isinstance(told.get(name), int)
    }
    return {
        "type": "url_citation",
        "url_citation": {"url": "", "title": str(title or ""), **place, "source": told},
    }


def restore_annotation(annotation: Json) -> Json:
    """What `url_citation` was made of; any other annotation as it is."""
    citation = annotation.get("url_citation")
    source = citation.get("source") if isinstance(citation, dict) else None
    return source if isinstance(source, dict) and "type" in source else annotation
