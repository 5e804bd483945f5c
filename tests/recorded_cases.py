"""The recordings in tests/recordings/<dialect>/, and what is made from one: its target and the bytes
of its stream. `test_recordings` says what is in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from native_api.types import Provider, Quirks, Target
from tests.cases import Cases

FOLDER = Path(__file__).resolve().parent / "recordings"


@cache
def _read_texts() -> dict[str, str]:
    return {
        f"{path.parent.name}-{path.stem}": path.read_text()
        for path in sorted(FOLDER.glob("*/*.json"))
    }


def recorded_cases(*members: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and recordings with all these members. Each is a new copy."""
    for name, text in _read_texts().items():
        case = json.loads(text)
        if all(member in case for member in members):
            yield name, case


def with_members(*members: str) -> Callable[[], Cases]:
    """What loads these recordings when a test begins."""
    return lambda: recorded_cases(*members)


def with_streams(*members: str) -> Callable[[], Cases]:
    """What loads the recordings of streams with these members, whether text or binary."""
    return lambda: (
        (name, case)
        for name, case in recorded_cases(*members)
        if case.keys() & {"stream", "stream_base64"}
    )


def build_target(case: dict[str, Any]) -> Target:
    provider = dict(case["provider"])
    quirks = {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in provider.pop("quirks", {}).items()
    }
    return Target(
        Provider(name=provider.pop("name", "p"), quirks=Quirks(**quirks), **provider), case["model"]
    )


def read_stream(case: dict[str, Any]) -> bytes:
    return (
        case["stream"].encode()
        if "stream" in case
        else base64.b64decode(case.get("stream_base64", ""))
    )
