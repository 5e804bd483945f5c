"""What belongs to a text of a response: annotations and log probabilities.
https://platform.openai.com/docs/api-reference/responses/object (read 2026-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from native_api.dialects.shared.annotations import restore_annotation
from native_api.dialects.shared.json_values import read_objects
from native_api.types import Json

INDEXES: Final = ("start_index", "end_index")

ANNOTATIONS: Final[Mapping[str, frozenset[str]]] = {
    "file_citation": frozenset({"file_id", "filename", "index"}),
    "container_file_citation": frozenset({"container_id", "file_id", "filename", *INDEXES}),
    "file_path": frozenset({"file_id", "index"}),
}
"""The other annotations of this API, and the members that clients require of them."""


def build_annotation(annotation: Json, start: int) -> Json:
    """OpenAI's flat `url_citation`, or the annotation of this API that the reply's was made of."""
    restored = restore_annotation(annotation)
    required = ANNOTATIONS.get(str(restored.get("type")))
    if required is not None and required <= restored.keys():
        return restored
    citation = dict(annotation.get("url_citation") or {})
    for name in INDEXES:
        citation[name] = max((citation.get(name) or 0) - start, 0)
    return {"url": "", "title": "", **citation, "type": "url_citation"}


def build_logprob(token: Json) -> Json:
    """The log probability of a token, and those of its alternatives."""
    alternatives = list(map(_build_token, read_objects(token.get("top_logprobs"))))
    return {**_build_token(token), "top_logprobs": alternatives}


def _build_token(token: Json) -> Json:
    """A token's log probability; clients require all members."""
    text = str(token.get("token") or "")
    return {
        "token": text,
        "bytes": token.get("bytes") or list(text.encode()),
        "logprob": token.get("logprob") or 0.0,
    }
