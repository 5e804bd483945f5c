"""Structured logs, and the request id that ties log lines, answers and usage records together.

Prompts, answers and secrets are never given to a logger in the first place. What clients, providers
and rows do write in a line (paths, names, texts of exceptions) cannot begin another: control
characters are escaped in the record itself, so that it holds for any handler and formatter. For
that, every logger of the app comes from `get_logger`.
"""

from __future__ import annotations

import datetime
import json
import logging
import random
import re
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

import orjson

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "request",
    "server_time",
    "taskName",
    "color_message",
}
"""What every record has. Anything else was given as `extra` and is told."""

SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

request_id: Final[ContextVar[str]] = ContextVar("native_api_request_id", default="")
"""Of the request that is being handled; "" outside of one. Follows it to other threads and
loops."""


def new_request_id() -> str:
    """For finding a request again, not for keeping a secret."""
    return f"{random.getrandbits(128):032x}"


def sane_request_id(sent: str) -> str:
    """The client's own id where it is sane, else a new one."""
    return sent if SANE_REQUEST_ID.fullmatch(sent) else new_request_id()


def get_logger(name: str) -> logging.Logger:
    """The logger, whose records are escaped. Adding the same filter again does nothing."""
    logger = logging.getLogger(name)
    logger.addFilter(ESCAPING)
    return logger


def escaped(text: str) -> str:
    """`text` with everything escaped that is not printable: line breaks, other control characters,
    marks that turn text around."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


class EscapingFilter(logging.Filter):
    """Escapes what a record was given, in place."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _escaped_value(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: _escaped_value(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple([_escaped_value(value) for value in record.args])
        for name, value in record.__dict__.items():
            if isinstance(value, str) and name not in STANDARD:
                record.__dict__[name] = escaped(value)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = _escaped_traceback(record.exc_info[1])
        return True


ESCAPING: Final = EscapingFilter()

PLAIN: Final = (int, float, type(None))
HEADING: Final = "Traceback (most recent call last):\n"


def _escaped_value(value: Any) -> Any:
    """The value itself if its text is safe: a `%d` needs the number, and a formatter may look for
    the object."""
    if isinstance(value, PLAIN):
        return value
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"
    return value if text.isprintable() else escaped(text)


def _escaped_traceback(error: BaseException) -> str | None:
    """The traceback with each exception's text on one line; None if any formatter would write it
    like that."""
    told = [(each, _texts(each)) for each in _chain(error)]
    if all(text.isprintable() for _, texts in told for text in texts):
        return None
    parts = [
        "".join([HEADING, *traceback.format_tb(each.__traceback__), "\n".join(map(escaped, texts))])
        for each, texts in reversed(told)
    ]
    return "\n\nAnother exception followed:\n\n".join(parts)


def _texts(error: BaseException) -> list[str]:
    """What an exception says of itself, and its notes."""
    try:
        text = f"{type(error).__qualname__}: {error}"
    except Exception:
        text = f"{type(error).__qualname__} without a text"
    return [text, *map(str, getattr(error, "__notes__", ()))]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that its traceback tells of, the latest first."""
    ahead: list[BaseException | None] = [error]
    seen: set[int] = set()
    while ahead:
        each = ahead.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            context = None if each.__suppress_context__ else each.__context__
            ahead += [*getattr(each, "exceptions", ()), each.__cause__ or context]


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
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= {
            name: value
            for name, value in record.__dict__.items()
            if name not in STANDARD and value is not None
        }
        if record.exc_info:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)
        return _on_one_line(_to_json(line))


def _to_json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits
        return json.dumps(line, default=str)


def _on_one_line(text: str) -> str:
    """The same JSON without the control characters and line ends beyond ASCII, which JSON need not
    escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text
    )
