"""Structured logs, and the request id that ties log lines, answers and usage records together.

Prompts, answers and secrets are never given to a logger in the first place.
"""

from __future__ import annotations

import datetime
import json
import logging
import random
import re
from contextvars import ContextVar
from typing import Any, Final

import orjson

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "request", "server_time", "taskName", "color_message"}
"""What every record has. Anything else was given as `extra` and is told."""

SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

request_id: Final[ContextVar[str]] = ContextVar("native_api_request_id", default="")
"""Of the request that is being handled; "" outside of one. Follows it to other threads and loops."""


def new_request_id() -> str:
    """For finding a request again, not for keeping a secret."""
    return f"{random.getrandbits(128):032x}"


def sane_request_id(sent: str) -> str:
    """The client's own id where it is sane, else a new one."""
    return sent if SANE_REQUEST_ID.fullmatch(sent) else new_request_id()


class RequestIdFilter(logging.Filter):
    """Puts `request_id` on every record, for handlers with a formatter of the site's own."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = request_id.get()
        return True


class JSONFormatter(logging.Formatter):
    """`{"time", "level", "logger", "message", "request_id"?, …extra, "exception"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD and value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _to_json(line)


def _to_json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits
        return json.dumps(line, default=str)
