"""Responses that the gateway keeps for the caller that made them, if RESPONSES["STORE"] is on.

Rules:
1. Nobody but the caller reads, replaces or deletes them: a user with any of the user's keys, else
   the key. A caller with neither keeps nothing. Another's, an unknown and an expired id are the
   same to a client.
2. Content is encrypted before it reaches the database, and is written nowhere else: not to the
   journal, not to the log.
3. `keep` is awaited before the end of the reply is sent, so that the next request finds it in any
   process. It never fails a reply: if the database does not answer soon, it says so.
4. A conversation is as long as a request may be: MAX_BODY_BYTES and MAX_JSON_VALUES hold for what
   is added to it. Larger responses are not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import orjson

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest, NotFound
from native_api.gateway import kept_content, kept_rows, kept_threads
from native_api.gateway.keeping import keep
from native_api.gateway.kept_content import Turn, Unreadable
from native_api.gateway.kept_rows import KeptRow, NotThere
from native_api.inbound.body_limits import BodyMemory
from native_api.inbound.json_structure import count_structure
from native_api.types import Caller, Json

__all__ = [
    "History",
    "delete",
    "describe_keeping",
    "get",
    "keep",
    "list_input_items",
    "load_history",
    "load_items",
]

T = TypeVar("T")

MAX_SHOWN: Final = 100
"""Characters of an id in a message."""

MAX_TURNS: Final = 1000
"""Responses in one conversation."""

MAX_SEARCHED_TURNS: Final = 4
"""How many of the largest responses are searched for the items of one request. Each later turn has
the items that it referred to, so that usually the newest has all."""


class History(NamedTuple):
    """Items of earlier turns, and the bytes of their JSON."""

    items: list[Json]
    size: int


# --- for requests --------------------------------------------------------------------------------


async def load_history(
    caller: Caller, previous_response_id: str, memory: BodyMemory | None = None
) -> History:
    """The items of a response and of all turns before it, in order. `memory` counts their bytes.

    Raises InvalidRequest (`previous_response_not_found`, or `context_length_exceeded`),
    DatabaseUnavailable or Overloaded.
    """
    digest = kept_rows.response_digest(caller, previous_response_id)
    maximum = native_settings.MAX_BODY_BYTES
    try:
        chain = await kept_threads.read(kept_rows.read_chain, digest, MAX_TURNS, maximum, memory)
        if chain is None:
            raise _too_long(f"it has more than {MAX_TURNS} responses, or {maximum} bytes")
        return History(
            await kept_threads.compute(_decode_history, chain.turns), chain.history_bytes
        )
    except (NotThere, Unreadable):
        raise InvalidRequest(
            f"Previous response with id '{previous_response_id[:MAX_SHOWN]}' not found. "
            f"{describe_keeping()}",
            code="previous_response_not_found",
            param="previous_response_id",
        ) from None


def _decode_history(turns: Sequence[tuple[UUID, bytes]]) -> list[Json]:
    items: list[Json] = []
    values = 0
    maximum = native_settings.MAX_JSON_VALUES
    for digest, content in turns:
        text = kept_content.decrypt(digest, content)
        values += count_structure(text, maximum).values
        if values > maximum:
            raise _too_long(f"it has more than {maximum} JSON values")
        items += kept_content.decode_turn(text).items
    return items


def _too_long(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"previous_response_id: the conversation is too long to be continued, because {reason}. "
        "Begin a new one with a summary of it.",
        code="context_length_exceeded",
        param="previous_response_id",
    )


def describe_keeping() -> str:
    """What a message about an id that is not there says besides."""
    days = native_settings.RESPONSES["DAYS"]
    return f"Responses are kept for {days} days, for the caller that made them."


async def load_items(
    caller: Caller, ids: Iterable[str], memory: BodyMemory | None = None
) -> dict[str, Json]:
    """The items with these ids, of any response of the caller. Those that are not there are left
    out. `memory` counts what is read. Raises DatabaseUnavailable, Overloaded."""
    wanted = list(dict.fromkeys(ids))
    digests = [kept_rows.item_digest(caller, each) for each in wanted]
    maximum = MAX_SEARCHED_TURNS * native_settings.MAX_BODY_BYTES
    rows = await kept_threads.read(kept_rows.read_items, digests, maximum, memory)
    return await kept_threads.compute(_find_items, rows, wanted, maximum)


def _find_items(
    rows: Sequence[tuple[UUID, bytes]], wanted: Sequence[str], max_bytes: int
) -> dict[str, Json]:
    missing = set(wanted)
    found: dict[str, Json] = {}
    for digest, content in rows:
        text = kept_content.decrypt_or_skip(digest, content)
        max_bytes -= len(text)
        if max_bytes < 0:
            break
        if text:
            items = kept_content.decode_turn(text).by_id()
            found.update({each: items[each] for each in missing & items.keys()})
            missing -= items.keys()
    return found


# --- for the owner -------------------------------------------------------------------------------


async def get(caller: Caller, response_id: str) -> Json:
    """The response as it was answered. Raises NotFound, DatabaseUnavailable."""
    return await _decode(_decode_response, caller, response_id)


def _decode_response(row: KeptRow) -> Json:
    response: Json = orjson.loads(kept_content.decrypt(row.digest, row.response))
    return {**response, "output": _decode_turn(row).output}


async def list_input_items(
    caller: Caller, response_id: str, order: str = "desc", limit: int = 20, after: str | None = None
) -> Json:
    """OpenAI's list of a response's own input items, without those of the turns before it. `order`
    is `asc` or `desc`; `after` is the id of the item before the first one.

    Raises NotFound, InvalidRequest for an unknown `after`, DatabaseUnavailable.
    """
    turn: Turn = await _decode(_decode_turn, caller, response_id)
    items = turn.list_input()
    if order == "desc":
        items.reverse()
    page = items[_index_after(items, after) :][: limit + 1]
    data, has_more = page[:limit], len(page) > limit
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {
        "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more,
    }  # fmt: skip


def _index_after(items: Sequence[Json], after: str | None) -> int:
    if after is None:
        return 0
    found = next((index for index, item in enumerate(items) if item["id"] == after), None)
    if found is None:
        raise InvalidRequest("after: the response has no input item of this id", param="after")
    return found + 1


def _decode_turn(row: KeptRow) -> Turn:
    return kept_content.decode_turn(kept_content.decrypt(row.digest, row.items))


async def delete(caller: Caller, response_id: str) -> None:
    """Raises NotFound, DatabaseUnavailable."""
    try:
        await kept_threads.read(kept_rows.delete, kept_rows.response_digest(caller, response_id))
    except NotThere:
        raise _not_found(response_id) from None


async def _decode(decode: Callable[[KeptRow], T], caller: Caller, response_id: str) -> T:
    """What `decode` makes of a row."""
    try:
        row = await kept_threads.read(
            kept_rows.read, kept_rows.response_digest(caller, response_id)
        )
        return await kept_threads.compute(decode, row)
    except (NotThere, Unreadable):
        raise _not_found(response_id) from None


def _not_found(response_id: str) -> NotFound:
    shown = response_id[:MAX_SHOWN]
    return NotFound(f"Response with id '{shown}' not found. {describe_keeping()}")
