"""What belongs to a text of a response: annotations, log probabilities, and links to images.
https://platform.openai.com/docs/api-reference/responses/object (read 2026-11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.annotations import restore_annotation
from native_api.dialects.shared.json_values import read_objects
from native_api.inbound.openai.responses.output_items import OutputItem, Part
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


def place_annotations(
    texts: Sequence[tuple[OutputItem, Part]], annotations: Iterable[Json]
) -> Iterator[tuple[OutputItem, Part, Json]]:
    """Each annotation with the text that it is about. One without a place stays with the one before
    it."""
    if not texts:
        return
    item, part = texts[0]
    for annotation in annotations:
        citation = annotation.get("url_citation") or {}
        start = citation.get("start_index") or 0
        if start or citation.get("end_index"):
            item, part = next(text for text in reversed(texts) if text[1].start <= start)
        yield item, part, build_annotation(annotation, part.start)


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


def read_url(image: Any) -> str:
    """The URL of an image, which some servers send without the objects around it."""
    for name in ("image_url", "url"):
        image = image.get(name) if isinstance(image, dict) else image
    return image if isinstance(image, str) else ""
