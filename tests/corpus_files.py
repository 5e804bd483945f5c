"""Recorded traffic in ../shared/corpus, if it is available: one file per exchange, with its path,
request, status, and its reply as `body`, or `raw` or `raw_base64` if it was streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.cases import Cases

Recording = dict[str, Any]

FILES = sorted((Path(__file__).resolve().parents[2] / "shared" / "corpus").glob("*/*.json"))

needs_corpus = pytest.mark.skipif(not FILES, reason="There are no recordings in ../shared/corpus.")

WIRES = {
    "/messages": "anthropic",
    "/chat/completions": "openai",
    "/responses": "openai_responses",
    "Content": "gemini",
    "/converse": "bedrock",
    "/converse-stream": "bedrock",
    "/v2/chat": "cohere",
    "/api/chat": "ollama",
}
"""How the path of an exchange ends -> the wire."""


def find_wire(recording: dict[str, Any]) -> str:
    """The name of the recording's dialect, or nothing if there is none."""
    path = recording["path"].partition("?")[0]
    return next((wire for ending, wire in WIRES.items() if path.endswith(ending)), "")


@cache
def _read_texts() -> dict[str, str]:
    return {f"{path.parent.name}-{path.stem}": path.read_text() for path in FILES}


def select(keep: Callable[[dict[str, Any]], bool]) -> Callable[[], Cases]:
    """What loads the recordings to keep, of wires that the gateway speaks, when a test begins."""
    return lambda: (
        (name, recording)
        for name, recording in ((name, json.loads(text)) for name, text in _read_texts().items())
        if find_wire(recording) and keep(recording)
    )


def complete(recording: dict[str, Any]) -> bool:
    return recording["status"] < 400 and "body" in recording


def streamed(recording: dict[str, Any]) -> bool:
    return recording["status"] < 400 and "body" not in recording


def failed(recording: dict[str, Any]) -> bool:
    return bool(recording["status"] >= 400)
