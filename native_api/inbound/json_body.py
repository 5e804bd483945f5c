"""The bytes of a request -> its JSON object. Checks everything except the fields."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final, TypeVar

import orjson
from django.http import HttpRequest

from native_api.background import executors
from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest, UnsupportedMediaType
from native_api.inbound.body_limits import (
    BODY,
    BodyMemory,
    check_body_size,
    declared_length,
    too_slow,
)
from native_api.inbound.json_structure import count_structure
from native_api.types import Json

T = TypeVar("T")

MAX_SHOWN: Final = 50

MAX_DEPTH: Final = 128
"""Objects and lists inside each other. The encoders of upstream requests support about 250."""

LARGE_BODY: Final = 256 * 1024
"""Bytes. Larger bodies are parsed and checked in a thread, so that other requests continue."""

MAX_SEARCHED_FOR_DUPLICATES: Final = 1024 * 1024
"""Bytes. Python's own parser, which finds the name of a duplicate key, takes a second for 20 MB of
escapes."""

READ_BYTES: Final = 64 * 1024
"""Read at once, because some servers wait until they have as many bytes as they were asked for."""

CONTAINERS: Final = frozenset({dict, list})
"""The exact types that orjson makes. `isinstance` takes three times as long."""

_threads: Final = executors.foreign.lane(2)


async def read_and_check(request: HttpRequest, check: Callable[[Json], T]) -> T:
    """The result of `check` for the JSON object in the body. Raises what `read_body`, `parse_json`
    and `check` raise."""
    with BodyMemory() as memory:
        body = await read_body(request, memory)
        return await run_check(lambda: check(parse_json(body)), len(body))


async def run_check(check: Callable[[], T], size: int) -> T:
    """The result of `check`, which reads so many bytes: in a thread if they are many."""
    if size <= LARGE_BODY:
        return check()
    return await asyncio.wrap_future(_threads.submit(check))


@contextmanager
def request_memory(request: HttpRequest) -> Iterator[BodyMemory]:
    """Counts what is loaded for a request beside its body: until it is answered under
    `native_api.asgi`, else until the end of the block."""
    asgi_body = getattr(request, "scope", {}).get(BODY)
    if asgi_body is not None:
        yield asgi_body.memory
        return
    with BodyMemory() as memory:
        yield memory


async def read_body(request: HttpRequest, memory: BodyMemory) -> bytes:
    """The body, checked for type and size. Raises UnsupportedMediaType, RequestTooLarge,
    RequestTimeout, Overloaded.

    Reads the stream itself: Django's DATA_UPLOAD_MAX_MEMORY_SIZE is meant for forms, and too small
    for images.
    """
    _check_media_type(request.META.get("CONTENT_TYPE", ""))
    limit = native_settings.MAX_BODY_BYTES
    check_body_size(declared_length(request.META.get("CONTENT_LENGTH") or ""), limit)
    asgi_body = getattr(request, "scope", {}).get(BODY)
    if asgi_body is None:
        return _read_in_pieces(_body_stream(request), limit, memory)
    body: bytes = (
        await asgi_body.read() if asgi_body.is_unread else _body_stream(request).read(limit + 1)
    )
    check_body_size(len(body), limit)  # again, because middleware may have unpacked it
    return body


def _read_in_pieces(stream: Any, limit: int, memory: BodyMemory) -> bytes:
    """The time limit is checked between two pieces only: while the server waits for one, its own
    time limits apply."""
    seconds = native_settings.TIMEOUTS["BODY"]
    end = time.monotonic() + seconds
    body = BytesIO()
    while piece := stream.read(READ_BYTES):
        memory.add(len(piece))
        body.write(piece)
        check_body_size(memory.size, limit)
        if time.monotonic() > end:
            raise too_slow(seconds)
    return body.getvalue()


def _body_stream(request: HttpRequest) -> Any:
    """The stream to read the body from. Raises InvalidRequest if the server cannot give all of it.

    Under WSGI, Django (5.2 and 6.0) takes a body without a Content-Length for an empty one. It can
    be read to its end if the server sets `wsgi.input_terminated`.
    """
    environ: Any = getattr(request, "environ", None)
    if environ is None or not environ.get("HTTP_TRANSFER_ENCODING"):
        return request
    if not environ.get("wsgi.input_terminated"):
        raise InvalidRequest(
            "This server needs a Content-Length: it does not take chunked requests."
        )
    return environ["wsgi.input"]


def _check_media_type(content_type: str) -> None:
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "Send the request as application/json, not as "
            f"{media_type.strip()[:MAX_SHOWN] or 'nothing'}."
        )
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"Send the request in UTF-8, not in {charset[1][:MAX_SHOWN]}.")


def parse_json(body: bytes) -> Json:
    """The JSON object in `body`. Raises InvalidRequest, which says what is wrong and where."""
    if not body or body.isspace():
        raise InvalidRequest("The request body is empty; a JSON object was expected.")
    keys_written = _check_structure(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {_reason(error)}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body is not a JSON object.")
    _refuse_duplicates(body, _count_keys(value), keys_written)
    return value


def _check_structure(body: bytes) -> int | None:
    """The number of keys in the text, if it was counted. Raises InvalidRequest if there are more
    values than MAX_JSON_VALUES."""
    maximum = native_settings.MAX_JSON_VALUES
    if len(body) < 2 * maximum:  # no value takes less than two bytes with what stands around it
        return None
    structure = count_structure(body, maximum)
    if structure.values > maximum:
        raise InvalidRequest(
            f"The request body has more than {maximum} JSON values (MAX_JSON_VALUES); "
            "objects, lists and their members count."
        )
    return structure.keys


def _reason(error: orjson.JSONDecodeError) -> str:
    words, _, _ = str(error).partition(": line ")
    return f"{words} (line {error.lineno}, column {error.colno})"


def _count_keys(value: Json) -> int:
    """The number of keys at every depth. Raises InvalidRequest if there are too many levels."""
    count = 0
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        next_level: list[Any] = []
        for item in level:
            members = item
            if type(item) is dict:
                count += len(item)
                members = item.values()
            next_level += [member for member in members if type(member) in CONTAINERS]
        if not next_level:
            return count
        level = next_level
    raise InvalidRequest(f"The request body is nested more than {MAX_DEPTH} levels deep.")


def _refuse_duplicates(body: bytes, keys: int, keys_written: int | None) -> None:
    """Raise InvalidRequest if the text has more keys than the parsed object: of two equal keys,
    orjson keeps the last."""
    if keys_written is None:
        # Every key has a colon: if there are no other colons, no key is duplicate.
        keys_written = keys if body.count(b":") == keys else count_structure(body).keys
    if keys_written == keys:
        return
    if len(body) <= MAX_SEARCHED_FOR_DUPLICATES:
        json.loads(body, object_pairs_hook=_refuse_duplicate_keys, parse_int=str, parse_float=str)
    raise InvalidRequest("A key comes twice in one object of the request body.")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidRequest(f"The key {key[:MAX_SHOWN]!r} comes twice in one object.")
        seen.add(key)
