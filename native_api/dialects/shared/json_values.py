"""Reading and writing values of a provider's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any, Final

import orjson

from native_api.dialects.shared.nesting import check_depth
from native_api.exceptions import InvalidRequest
from native_api.types import Json

MAX_INTEGER: Final = 2**53
"""Numbers from here on lose digits in JavaScript."""


def parse_json(text: str) -> Any:
    """The value of a text of a reply, `{}` if it is empty, the text itself if it is not JSON.

    Raises UpstreamError if it is nested too deeply.
    """
    check_depth(text)
    try:
        return orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return text


def read_objects(value: Any) -> list[Json]:
    """The objects of a list; [] if a provider sent something else in its place."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_object(value: Any) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_integer(value: Any, default: int = 0) -> int:
    """The number as an integer that every client's JSON can have; the default if it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value < MAX_INTEGER else default


def replace_members(whole: Json, members: Mapping[str, Any]) -> Json:
    """A copy with these members; the object itself if it has the same ones."""
    if all(name in whole and whole[name] is value for name, value in members.items()):
        return whole
    return {**whole, **members}


def replace_items(items: list[Any], edited: list[Any]) -> list[Any]:
    """The edited items; the list itself if it has the same ones."""
    is_same = len(items) == len(edited) and all(map(is_, items, edited))
    return items if is_same else edited


def dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def join_text(pieces: Iterable[str]) -> str | None:
    """The pieces of a reply's text in one, None if there is no text."""
    return "".join(pieces) or None


def encode(body: Json) -> bytes:
    """The body in JSON. Raises InvalidRequest if it is nested too deeply.

    orjson reads deeper nesting than it writes.
    """
    try:
        return orjson.dumps(body)
    except TypeError:
        raise InvalidRequest("The request is nested too deeply.") from None
