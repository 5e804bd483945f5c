"""Values of a provider's JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from native_api.dialects.shared.nesting import check_depth
from native_api.types import Json


def parse_json(text: str) -> Any:
    """The value that a text of a reply says in JSON, `{}` for none; text that is not JSON stays
    what it is. Raises UpstreamError."""
    check_depth(text)
    try:
        return orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return text


def read_objects(value: Any) -> list[Json]:
    """The objects in what a provider sent where a list of them belongs."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def join_text(pieces: Iterable[str]) -> str | None:
    """The text of a reply, None where there is none."""
    return "".join(pieces) or None
