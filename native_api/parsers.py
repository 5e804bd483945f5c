"""Bytes of a request -> its JSON object. Everything that can be wrong with a body before its fields are looked at."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

import orjson
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest, RequestTooLarge, UnsupportedMediaType
from native_api.types import Json

QUOTE_AND_COLON: Final = re.compile(rb'"\s*:')
ESCAPED_QUOTE_AND_COLON: Final = re.compile(rb'\\"\s*:')
"""The first finds where keys end, and quotes inside strings too; the second only those. Both begin with what `re` finds fast."""

MAX_SHOWN: Final = 50

MAX_DEPTH: Final = 128
"""Objects and lists inside each other. What is sent on has to be written by encoders that know no more than about 250."""

MAX_DIGITS: Final = 18

CONTAINERS: Final = frozenset({dict, list})
"""The very types that orjson makes. Asking `isinstance` takes thrice as long."""


class NativeJSONParser(BaseParser):
    """For views that are written in DRF's usual way."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Json:
        return parse_json(stream.read())


def read_body(request: HttpRequest) -> bytes:
    """The body, checked for type and size. Raises UnsupportedMediaType, RequestTooLarge.

    Reads the stream itself: Django's DATA_UPLOAD_MAX_MEMORY_SIZE is made for forms, and far too small for images.
    """
    _check_media_type(request.META.get("CONTENT_TYPE", ""))
    limit = native_settings.MAX_BODY_BYTES
    if declared_length(request.META.get("CONTENT_LENGTH") or "") > limit:
        raise RequestTooLarge(f"The request body is larger than {limit} bytes.")
    body: bytes = _stream_of(request).read(limit + 1)
    if len(body) > limit:
        raise RequestTooLarge(f"The request body is larger than {limit} bytes.")
    return body


def declared_length(content_length: str) -> int:
    """What a Content-Length header promises; 0 where it is none."""
    if not content_length.isascii() or not content_length.isdigit():
        return 0
    return int(content_length) if len(content_length) <= MAX_DIGITS else sys.maxsize


def _stream_of(request: HttpRequest) -> Any:
    """Where the body is read from. Raises InvalidRequest where that would hide a part of it.

    Under WSGI a body without a Content-Length seems empty to Django (5.2 and 6.0). It is there, and ends where it should,
    if the server says `wsgi.input_terminated`.
    """
    environ: Any = getattr(request, "environ", None)
    if environ is None or not environ.get("HTTP_TRANSFER_ENCODING"):
        return request
    if not environ.get("wsgi.input_terminated"):
        raise InvalidRequest("This server needs a Content-Length: it does not take chunked requests.")
    return environ["wsgi.input"]


def _check_media_type(content_type: str) -> None:
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(f"Send the request as application/json, not as {media_type.strip()[:MAX_SHOWN] or 'nothing'}.")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"Send the request in UTF-8, not in {charset[1][:MAX_SHOWN]}.")


def parse_json(body: bytes) -> Json:
    """The object that `body` is. Raises InvalidRequest saying what is wrong and where."""
    if not body.strip():
        raise InvalidRequest("The request body is empty; a JSON object was expected.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {_reason(error)}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body is not a JSON object.")
    keys = _count_keys(value)
    if _may_have_duplicates(body, keys):
        _refuse_duplicates(body)
    return value


def _reason(error: orjson.JSONDecodeError) -> str:
    words, _, _ = str(error).partition(": line ")
    return f"{words} (line {error.lineno}, column {error.colno})"


def _may_have_duplicates(body: bytes, keys: int) -> bool:
    """False where the text has as many keys as the tree: orjson keeps the last of two and drops the other silently."""
    if b'\\\\"' in body:
        return True
    written = len(QUOTE_AND_COLON.findall(body)) - len(ESCAPED_QUOTE_AND_COLON.findall(body))
    return written != keys


def _count_keys(value: Json) -> int:
    """Keys at every depth, one level after the other. Raises InvalidRequest for too many levels."""
    count = 0
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            members = item
            if type(item) is dict:
                count += len(item)
                members = item.values()
            below += [member for member in members if type(member) in CONTAINERS]
        if not below:
            return count
        level = below
    raise InvalidRequest(f"The request body is nested more than {MAX_DEPTH} levels deep.")


def _refuse_duplicates(body: bytes) -> None:
    """The exact check, for bodies that may have a key twice."""
    json.loads(body, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidRequest(f"The key {key[:MAX_SHOWN]!r} comes twice in one object.")
        seen.add(key)
