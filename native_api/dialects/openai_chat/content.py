"""What the family's servers put into content and beside it: lists of parts, thinking in tags,
sources, log probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_api.dialects.shared.annotations import build_url_citation
from native_api.types import Json


def split(delta: Json, parts: Iterable[Any], length: int) -> None:
    """Content as a list (Mistral): text is the content, thinking the reasoning, images `images`,
    the rest annotations.

    https://docs.mistral.ai/capabilities/citations and /capabilities/reasoning (2026-11). `length`
    is the text said before.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    said = length
    for part in filter(None, parts):
        kind = part.get("type") if isinstance(part, dict) else "text"
        if kind in ("text", "output_text"):
            text = part if isinstance(part, str) else part.get("text") or ""
            texts.append(text)
            said += len(text)
        elif kind == "thinking":
            thoughts.append(_thought(part.get("thinking")))
        elif kind == "image_url":
            delta.setdefault("images", []).append(_image(part))
        elif kind == "refusal":
            delta["refusal"] = (delta.get("refusal") or "") + (part.get("refusal") or "")
        else:
            delta.setdefault("annotations", []).append(
                {**part, "start_index": said, "end_index": said}
            )
    delta["content"] = "".join(texts)
    if any(thoughts):
        delta["reasoning_content"] = "".join(thoughts)


def _thought(told: Any) -> str:
    if isinstance(told, str):
        return told
    return "".join(part.get("text") or "" for part in told or () if isinstance(part, dict))


def _image(part: Json) -> Json:
    url = part["image_url"]
    return part if isinstance(url, dict) else {**part, "image_url": {"url": url}}


def gather(kept: Json, told: Mapping[str, Any]) -> None:
    """Add pieces of what has no unified field: text is joined, objects are merged, items of a list
    by their `index`.

    Groq streams each of its `executed_tools` twice: first with the arguments, then with the output.
    """
    for name, value in told.items():
        present = kept.get(name)
        if isinstance(present, str) and isinstance(value, str):
            kept[name] = present + value
        elif isinstance(present, dict) and isinstance(value, dict):
            gather(present, value)
        elif isinstance(value, list) and isinstance(present, list | None):
            _gather_items(kept.setdefault(name, []), value)
        else:
            kept[name] = value


def _gather_items(kept: list[Any], items: list[Any]) -> None:
    for item in items:
        same = _same(kept, item.get("index")) if isinstance(item, dict) else None
        if same is None:
            kept.append(item)
        else:
            same.update(item)


def _same(kept: list[Any], index: Any) -> Json | None:
    return next(
        (
            known
            for known in kept
            if index is not None and isinstance(known, dict) and known.get("index") == index
        ),
        None,
    )


def annotations_of(annotations: Iterable[Any]) -> list[Any]:
    """Sources of any shape as OpenAI's `url_citation`, which strict clients take alone."""
    return [_cited(item) for item in annotations if isinstance(item, dict)]


def _cited(item: Json) -> Json:
    if isinstance(item.get("url_citation"), dict):
        return {**item, "type": "url_citation"}
    if not item.get("url"):
        return build_url_citation(item)
    # A citation that is flat, as OpenAI's other API and Mistral's `tool_reference` tell it.
    told = {name: value for name, value in item.items() if name != "type"}
    return {
        "type": "url_citation",
        "url_citation": {"title": "", "start_index": 0, "end_index": 0, **told},
    }


def sources_of(body: Mapping[str, Any], length: int) -> list[Json]:
    """Annotations of the sources that are told beside the choices (Perplexity, xAI): the whole
    answer rests on them."""
    results = [
        item
        for item in body.get("search_results") or ()
        if isinstance(item, dict) and item.get("url")
    ]
    found = results or [_address(item) for item in body.get("citations") or ()]
    return [
        {
            "type": "url_citation",
            "url_citation": {"title": "", **_known(item), "start_index": 0, "end_index": length},
        }
        for item in found
        if item.get("url")
    ]


def _address(item: Any) -> Json:
    return item if isinstance(item, dict) else {"url": str(item)}


def _known(item: Json) -> Json:
    return {
        name: item[name]
        for name in ("url", "title", "snippet", "date", "last_updated")
        if item.get(name)
    }


def logprobs_of(told: Any, text: str) -> Json | None:
    """OpenAI's `logprobs`: Together tells lists of tokens, or one number for a piece of a
    stream."""
    if isinstance(told, int | float) and not isinstance(told, bool):
        return {"content": [_token(text, float(told))], "refusal": None}
    if not isinstance(told, dict):
        return None
    if "tokens" in told and told.get("content") is None:
        pairs = zip(told["tokens"] or (), told.get("token_logprobs") or (), strict=False)
        return {"content": [_token(token, logprob) for token, logprob in pairs], "refusal": None}
    return told


def _token(token: str | None, logprob: float | None) -> Json:
    return {
        "token": token or "",
        "logprob": logprob or 0.0,
        "bytes": list((token or "").encode()),
        "top_logprobs": [],
    }


class ThinkTags:
    """Tells the thinking at the head of a text, `<think>…</think>`, from the answer, however the
    text is cut."""

    OPEN: Final = "<think>"
    CLOSE: Final = "</think>"

    __slots__ = ("_state", "held")

    def __init__(self) -> None:
        self.held = ""
        self._state = "head"

    def feed(self, text: str) -> tuple[str, str]:
        """The thinking and the answer in what can be told so far."""
        self.held += text
        thought = content = ""
        if self._state == "head":
            self._open()
        if self._state == "thinking":
            thought = self._think()
        if self._state == "gap":
            self.held = self.held.lstrip("\r\n")
            self._state = "answer" if self.held else "gap"
        if self._state == "answer":
            content, self.held = self.held, ""
        return thought, content

    def _open(self) -> None:
        head = self.held.lstrip()
        if head.startswith(self.OPEN):
            self._state, self.held = "thinking", head[len(self.OPEN) :]
        elif not self.OPEN.startswith(head):
            self._state = "answer"

    def _think(self) -> str:
        thought, closed, rest = self.held.partition(self.CLOSE)
        if closed:
            self._state, self.held = "gap", rest
            return thought
        keep = next(
            (
                size
                for size in range(len(self.CLOSE) - 1, 0, -1)
                if self.held.endswith(self.CLOSE[:size])
            ),
            0,
        )
        thought, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return thought

    def close(self) -> tuple[str, str]:
        """What was held back, at the end of the text."""
        held, self.held = self.held, ""
        return (held, "") if self._state == "thinking" else ("", held)
