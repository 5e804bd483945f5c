"""What the family's servers put into a message besides text: lists of parts, log probabilities and
members without a unified field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from native_api.types import Json


def split_content(delta: Json, parts: Iterable[Any], length: int) -> None:
    """Add content that is a list of parts (Mistral) to a delta.

    Text becomes the content, thinking the reasoning, images `images`, the rest annotations.
    `length` is that of the text before. Sources: https://docs.mistral.ai/capabilities/citations and
    https://docs.mistral.ai/capabilities/reasoning (2026-11).
    """
    texts: list[str] = []
    thoughts: list[str] = []
    end = length
    for part in filter(None, parts):
        kind = part.get("type") if isinstance(part, dict) else "text"
        if kind in ("text", "output_text"):
            text = part if isinstance(part, str) else part.get("text") or ""
            texts.append(text)
            end += len(text)
        elif kind == "thinking":
            thoughts.append(_read_thinking(part.get("thinking")))
        elif kind == "image_url":
            delta.setdefault("images", []).append(_build_image(part))
        elif kind == "refusal":
            delta["refusal"] = (delta.get("refusal") or "") + (part.get("refusal") or "")
        else:
            delta.setdefault("annotations", []).append(
                {**part, "start_index": end, "end_index": end}
            )
    delta["content"] = "".join(texts)
    if any(thoughts):
        delta["reasoning_content"] = "".join(thoughts)


def _read_thinking(thinking: Any) -> str:
    if isinstance(thinking, str):
        return thinking
    return "".join(part.get("text") or "" for part in thinking or () if isinstance(part, dict))


def _build_image(part: Json) -> Json:
    url = part["image_url"]
    return part if isinstance(url, dict) else {**part, "image_url": {"url": url}}


def merge_members(members: Json, piece: Mapping[str, Any]) -> None:
    """Merge a piece of members that have no unified field into the earlier ones.

    Texts are joined, objects are merged, items of a list are matched by their `index`. Groq streams
    each of its `executed_tools` twice: first with the arguments, then with the output.
    """
    for name, value in piece.items():
        present = members.get(name)
        if isinstance(present, str) and isinstance(value, str):
            members[name] = present + value
        elif isinstance(present, dict) and isinstance(value, dict):
            merge_members(present, value)
        elif isinstance(value, list) and isinstance(present, list | None):
            _merge_items(members.setdefault(name, []), value)
        else:
            members[name] = value


def _merge_items(items: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        item = _find_item(items, piece.get("index")) if isinstance(piece, dict) else None
        if item is None:
            items.append(piece)
        else:
            item.update(piece)


def _find_item(items: list[Any], index: Any) -> Json | None:
    if index is None:
        return None
    return next(
        (item for item in items if isinstance(item, dict) and item.get("index") == index), None
    )


def build_logprobs(logprobs: Any, text: str) -> Json | None:
    """OpenAI's `logprobs`.

    Together sends lists of tokens, or in streams one number for a piece of `text`.
    """
    if isinstance(logprobs, int | float) and not isinstance(logprobs, bool):
        return {"content": [_build_token(text, float(logprobs))], "refusal": None}
    if not isinstance(logprobs, dict):
        return None
    if "tokens" in logprobs and logprobs.get("content") is None:
        pairs = zip(logprobs["tokens"] or (), logprobs.get("token_logprobs") or (), strict=False)
        tokens = [_build_token(token, logprob) for token, logprob in pairs]
        return {"content": tokens, "refusal": None}
    return logprobs


def _build_token(token: str | None, logprob: float | None) -> Json:
    return {
        "token": token or "",
        "logprob": logprob or 0.0,
        "bytes": list((token or "").encode()),
        "top_logprobs": [],
    }
