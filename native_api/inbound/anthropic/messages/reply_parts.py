"""Parts of a unified reply in Anthropic's words: citations, images, members of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.issuers import MARK
from native_api.types import Json


def build_citation(annotation: Mapping[str, Any]) -> Json:
    """A `url_citation` as the citation of a web search's result.

    `encrypted_index` is what Anthropic needs back, so it is empty: the citation is for people.
    """
    cited = annotation.get("url_citation") or {}
    cited_text = cited.get("cited_text")
    return {
        "type": "web_search_result_location",
        "cited_text": cited_text if isinstance(cited_text, str) else "",
        "encrypted_index": "",
        "title": cited.get("title") or None,
        "url": cited.get("url") or "",
    }


def describe_image(part: Mapping[str, Any]) -> str:
    """An image that the model made, as text: this API's replies have no images. One with an address
    is a Markdown image, of one with data only its type remains."""
    url = str((part.get("image_url") or {}).get("url") or "")
    if not url.startswith("data:"):
        return f"![image]({url})"
    media_type = url.removeprefix("data:").partition(";")[0].partition(",")[0]
    return f"[The model made an image ({media_type}), which the Messages API cannot return.]"


def read_call_members(call: Mapping[str, Any], own_format: str) -> tuple[Json, Json]:
    """The `extra_content` of a call: members of `own_format`, which are this API's own, and what
    other wires need back."""
    extra = call.get("extra_content")
    if not extra:
        return {}, {}
    own = extra.get(own_format)
    own = own if isinstance(own, dict) else {}
    members = {name: value for name, value in own.items() if name != MARK}
    return members, {name: value for name, value in extra.items() if name != own_format}
