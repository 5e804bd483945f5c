"""Records that the database refuses, kept apart so that they do not hold up the others.

`<mark>.rejected` in the journal's folder, one JSON object a line: `{"reason": …, "record": …}`.
Nothing reads it but people.
"""

from __future__ import annotations

import os
from typing import Final

import orjson

from native_api.logs import get_logger
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location

logger = get_logger("native_api.usage")

SUFFIX: Final = ".rejected"


def keep(line: bytes, error: Exception) -> None:
    """Put the record's JSON aside, in the log where the file cannot be written. Never raises."""
    reason = type(error).__name__
    entry = _entry_of(line)
    told = {"request_id": entry.request_id, "record_id": str(entry.id)} if entry else {}
    logger.error(
        "A usage record was rejected (%s) and put aside. Request %s.",
        reason,
        told.get("request_id"),
        extra=told,
    )
    try:
        _append(orjson.dumps({"reason": reason, "record": line.decode("utf-8", "replace")}) + b"\n")
    except Exception as problem:
        logger.critical(
            "The rejected usage record cannot be put aside (%s): %s",
            problem,
            line.decode("utf-8", "replace"),
        )


def _entry_of(line: bytes) -> UsageEntry | None:
    try:
        return UsageEntry.from_json(line)
    except Exception:
        return None


def _append(line: bytes) -> None:
    path = location.find() / (location.mark() + SUFFIX)
    descriptor = os.open(
        path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600
    )
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("not written whole")
    finally:
        os.close(descriptor)
