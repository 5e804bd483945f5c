"""Keeping a response at the end of its reply. Reading it is in `kept_responses`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

import orjson
from django.db import Error as DatabaseError

from native_api.background import CallTimeout, ResourceUnavailable
from native_api.conf import native_settings
from native_api.gateway import kept_content, kept_rows, kept_threads
from native_api.gateway.kept_content import Turn
from native_api.gateway.kept_rows import NewRow
from native_api.logs import get_logger
from native_api.types import Caller, Json

logger = get_logger("native_api.responses")

SECONDS: Final = 3.0
"""How long a reply waits for the database."""

MAX_ITEM_IDS: Final = 1000
"""Items of one response that can be referred to."""

MAX_ID_LENGTH: Final = 255
MAX_MODEL_LENGTH: Final = 200


async def keep(
    caller: Caller,
    response: Json,
    input_items: Sequence[Json],
    previous_response_id: str | None = None,
) -> bool:
    """Whether the response is kept now, so that its `store` may be true.

    `response` is the reply as the client gets it.
    """
    if not can_keep(caller, response):
        return False
    rest = {**response, "output": None}
    try:
        turn = kept_content.make_turn(input_items, response["output"])
        new = await kept_threads.compute(_make_row, caller, rest, turn, previous_response_id)
        return new is not None and await _write(new)
    except Exception as error:  # the reply is complete, and its client waits for its end
        _log_failure(error)
        return False


def _log_failure(error: Exception) -> None:
    if isinstance(error, ResourceUnavailable) and not isinstance(error, CallTimeout):
        return  # the outage has been logged
    is_expected = isinstance(error, DatabaseError | ResourceUnavailable)
    logger.warning(
        "A response could not be kept (%s).",
        type(error).__name__,
        exc_info=None if is_expected else error,
    )


def can_keep(caller: Caller, response: Json) -> bool:
    identity = response.get("id")
    is_sane = (
        isinstance(identity, str) and 0 < len(identity) <= MAX_ID_LENGTH and "\0" not in identity
    )
    return bool(native_settings.RESPONSES["STORE"] and caller.identity and is_sane)


def _make_row(
    caller: Caller, rest: Json, turn: Turn, previous_response_id: str | None
) -> NewRow | None:
    """The row of a response, whose output is in the turn; None if it is too large."""
    text = kept_content.encode_turn(turn)
    if len(text) > native_settings.MAX_BODY_BYTES:
        return None
    digest = kept_rows.response_digest(caller, rest["id"])
    new = NewRow(
        caller=caller,
        response_id=rest["id"],
        model=str(rest.get("model") or "")[:MAX_MODEL_LENGTH],
        created_at=datetime.now(UTC),
        previous=_previous(caller, previous_response_id),
        items=kept_content.encrypt(digest, text),
        response=kept_content.encrypt(digest, orjson.dumps(rest)),
        turn_bytes=len(text),
        item_digests=_item_digests(caller, turn),
    )
    return new if new.size <= native_settings.RESPONSES["MAX_BYTES"] else None


def _previous(caller: Caller, response_id: str | None) -> UUID | None:
    return None if response_id is None else kept_rows.response_digest(caller, response_id)


def _item_digests(caller: Caller, turn: Turn) -> list[UUID]:
    return [kept_rows.item_digest(caller, each) for each in turn.item_ids[:MAX_ITEM_IDS]]


async def _write(new: NewRow) -> bool:
    lane = kept_threads.lane_for(new.size)
    writing = lane.submit(kept_rows.write, new)
    try:
        return await lane.wait_for(SECONDS, writing)
    except BaseException:
        if not writing.cancel():
            writing.add_done_callback(partial(_undo, new))
        raise


def _undo(new: NewRow, writing: Future[bool]) -> None:
    """Delete what was written after the reply said that it is not kept."""
    if not writing.cancelled() and writing.exception() is None and writing.result():
        digest = kept_rows.response_digest(new.caller, new.response_id)
        kept_threads.lane_for(0).submit(kept_rows.delete, digest, new.created_at)
