"""Annotations of any kind as OpenAI's `url_citation`, and back.

Strict clients (openai-python's models, which pydantic-ai applies to every reply) accept no other
kind, and require `url`, `title`, `start_index` and `end_index`. Servers leave them out: xAI sends
only the `url` (recorded by https://github.com/vercel/ai in packages/xai, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.json_values import read_integer
from native_api.types import Json


def build_citation(members: Mapping[str, Any], start: int, end: int) -> Json:
    """A `url_citation` with these members. `start` and `end`, the span of the cited text, are used
    if the members have no place, and the URL is empty if they have none."""
    required = {
        "url": _read_text(members.get("url")),
        "title": _read_text(members.get("title")),
        "start_index": read_integer(members.get("start_index"), start),
        "end_index": read_integer(members.get("end_index"), end),
    }
    return {"type": "url_citation", "url_citation": {**members, **required}}


def _read_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def build_url_citation(annotation: Json, span: Mapping[str, int] | None = None) -> Json:
    """An annotation of any kind as OpenAI's `url_citation`.

    `source` is the annotation as it came. The URL is empty.
    """
    file = annotation.get("file")
    title = (
        annotation.get("title")
        or annotation.get("filename")
        or (file.get("name") if isinstance(file, dict) else None)
    )
    places = annotation if span is None else span
    members = {name: places[name] for name in ("start_index", "end_index") if name in places}
    return build_citation({**members, "title": str(title or ""), "source": annotation}, 0, 0)


def restore_annotation(annotation: Json) -> Json:
    """The annotation that `build_url_citation` was given; any other annotation as it is."""
    citation = annotation.get("url_citation")
    source = citation.get("source") if isinstance(citation, dict) else None
    return source if isinstance(source, dict) and "type" in source else annotation
