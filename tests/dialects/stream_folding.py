"""Folds a stream of chunks into the complete reply, as clients do."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

CONCATENATED = frozenset(
    {
        "content",
        "refusal",
        "reasoning_content",
        "arguments",
        "input",
        "text",
        "summary",
        "data",
        "signature",
        "transcript",
    }
)
CHUNK_CHOICE_MEMBERS = frozenset({"index", "delta", "finish_reason", "logprobs"})
BY_INDEX = frozenset({"tool_calls", "reasoning_details"})


def fold(chunks: Iterable[Any]) -> list[dict[str, Any]]:
    """The choices of the reply, by index."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for piece in chunk["choices"]:
            fresh = {"index": piece["index"], "message": {"content": None}, "finish_reason": None}
            choice = choices.setdefault(piece["index"], fresh)
            merge(choice["message"], deepcopy(piece["delta"]))
            assert not (choice["finish_reason"] and piece["finish_reason"]), (
                "one finish reason per choice"
            )
            choice["finish_reason"] = choice["finish_reason"] or piece["finish_reason"]
            merge_logprobs(choice, piece.get("logprobs"))
            choice |= {
                name: value for name, value in piece.items() if name not in CHUNK_CHOICE_MEMBERS
            }
    for choice in choices.values():
        for name in BY_INDEX & choice["message"].keys():
            choice["message"][name] = [
                without_index(item, name) for item in choice["message"][name]
            ]
        choice["message"]["content"] = choice["message"]["content"] or None
    return [choices[index] for index in sorted(choices)]


def merge(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        present = message.get(name)
        if value is None:
            message.setdefault(name, None)
        elif name in BY_INDEX:
            merge_by_index(message.setdefault(name, []), value)
        elif isinstance(value, dict) and isinstance(present, dict):
            merge(present, value)
        elif isinstance(value, list) and isinstance(present, list):
            present += value
        elif name in CONCATENATED and isinstance(present, str):
            message[name] = present + value
        else:
            message[name] = value


def merge_logprobs(choice: dict[str, Any], logprobs: dict[str, Any] | None) -> None:
    for name, tokens in (logprobs or {}).items():
        folded = choice.setdefault("logprobs", {})
        folded[name] = [*(folded.get(name) or []), *tokens] if tokens else folded.get(name)


def merge_by_index(items: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    for piece in pieces:
        index = piece["index"]
        assert index <= len(items), "indexes come in order of appearance"
        if index == len(items):
            items.append({})
        merge(items[index], piece)


def without_index(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        key: value for key, value in item.items() if key != "index" or name == "reasoning_details"
    }
