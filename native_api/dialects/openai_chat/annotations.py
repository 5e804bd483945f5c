"""Sources in the replies of the family's servers, as OpenAI's `url_citation` annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from native_api.dialects.shared.annotations import build_citation, build_url_citation
from native_api.types import Json


def build_annotations(annotations: Iterable[Any], length: int) -> list[Any]:
    """Annotations of any kind as `url_citation`, the only kind strict clients accept.

    One without a place spans the whole text, which has `length` characters.
    """
    return [_build_annotation(item, length) for item in annotations if isinstance(item, dict)]


def _build_annotation(item: Json, length: int) -> Json:
    citation = item.get("url_citation")
    if isinstance(citation, dict):
        return {**item, **build_citation(citation, 0, length)}
    if not item.get("url"):
        return build_url_citation(item)
    # A flat citation, as in the Responses API and in Mistral's `tool_reference`.
    members = {name: value for name, value in item.items() if name != "type"}
    return build_citation(members, 0, length)


def read_sources(body: Mapping[str, Any], length: int) -> list[Json]:
    """Annotations for sources of a whole reply, outside its choices (Perplexity, xAI).

    They span the whole text, which has `length` characters.
    """
    results = [
        item
        for item in body.get("search_results") or ()
        if isinstance(item, dict) and item.get("url")
    ]
    sources = results or [_as_source(item) for item in body.get("citations") or ()]
    return [build_citation(_known_members(item), 0, length) for item in sources if item.get("url")]


def _as_source(item: Any) -> Json:
    return item if isinstance(item, dict) else {"url": str(item)}


def _known_members(item: Json) -> Json:
    return {
        name: item[name]
        for name in ("url", "title", "snippet", "date", "last_updated")
        if item.get(name)
    }
