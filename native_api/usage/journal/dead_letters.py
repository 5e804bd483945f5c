"""Records that the database rejects, kept in a file so that they do not delay the others.

The file is `<database fingerprint>.rejected` in the journal's directory, with one JSON object a
line: `{"reason": …, "record": …}`. The app never reads it; it is for people.
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


def store(line: bytes, error: Exception) -> None:
    """Append the record's JSON to the file, or log it if that fails. Never raises."""
    reason = type(error).__name__
    entry = _parse(line)
    extra = {"request_id": entry.request_id, "record_id": str(entry.id)} if entry else {}
    logger.error(
        "The database rejected a usage record (%s); it is kept in the journal's %s file. "
        "Request %s.",
        reason,
        SUFFIX,
        extra.get("request_id"),
        extra=extra,
    )
    try:
        _append(orjson.dumps({"reason": reason, "record": line.decode("utf-8", "replace")}) + b"\n")
    except Exception as problem:
        logger.critical(
            "A rejected usage record could not be written to the %s file (%s): %s",
            SUFFIX,
            problem,
            line.decode("utf-8", "replace"),
        )


def _parse(line: bytes) -> UsageEntry | None:
    try:
        return UsageEntry.from_json(line)
    except Exception:
        return None


def _append(line: bytes) -> None:
    path = location.directory() / (location.database_fingerprint() + SUFFIX)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("the line was not written completely")
    finally:
        os.close(descriptor)
