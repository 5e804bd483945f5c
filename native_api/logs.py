"""Structured logs: one JSON object a line. Prompts, answers and secrets are never given to a logger in the first place."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import orjson

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "request", "server_time", "taskName", "color_message"}
"""What every record has. Anything else was given as `extra` and is told."""


class JSONFormatter(logging.Formatter):
    """`{"time", "level", "logger", "message", …extra, "exception"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD and value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()
