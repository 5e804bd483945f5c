"""Structured logs, and the request id that connects log lines, responses and usage records.

Prompts, replies and secrets are never passed to a logger. Text of clients, providers and rows
(paths, names, exception messages) cannot start a new line: control characters are escaped in the
record itself, so this holds for every handler and formatter. Therefore every logger of the app
comes from `get_logger`.
"""

from __future__ import annotations

import datetime
import json
import logging
import random
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

import orjson

__all__ = ["JSONFormatter", "RequestIdFilter", "TextFormatter", "request_id"]

STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "request",
    "server_time",
    "taskName",
    "color_message",
}
"""Attributes that every record has. Any other was passed as `extra` and is written."""

LOG_INTERVAL_SECONDS: Final = 60.0
"""In which a line that repeats itself is written once."""

SANE_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

request_id: Final[ContextVar[str]] = ContextVar("native_api_request_id", default="")
"""The id of the current request, also in its threads and tasks; "" outside of a request."""


def new_request_id() -> str:
    """A random id. It identifies a request and is not a secret."""
    return f"{random.getrandbits(128):032x}"


def sane_request_id(sent: str) -> str:
    """The client's own id if it is short and harmless, else a new one."""
    return sent if SANE_REQUEST_ID.fullmatch(sent) else new_request_id()


def get_logger(name: str) -> logging.Logger:
    """The logger of this name, with the filter that escapes its records."""
    logger = logging.getLogger(name)
    logger.addFilter(ESCAPING)
    return logger


def escaped(text: str) -> str:
    """`text` with unprintable characters escaped: line breaks, control and direction marks."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def describe_failure(error: BaseException) -> str:
    """What an exception is and where it was raised. Not its message, which may contain a secret or
    a part of a prompt or reply."""
    name, frames = type(error).__name__, list(traceback.walk_tb(error.__traceback__))
    if not frames:  # it was never raised itself
        return name
    frame, line = frames[-1]
    return f"{name} in {frame.f_code.co_filename}, line {line}"


class LogInterval:
    """Which lines of the log are due: those that repeat themselves are written once a minute by
    each process. `subject` tells lines apart; there must be few.

    For any thread, without a lock, which a fork could leave locked: in a race a line is written
    twice.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Start again, in a new process or with other settings."""
        self._logged_at: dict[str, float] = {}

    def is_due(self, subject: str = "") -> bool:
        """Whether to write the line now. If so, it is not due again for a minute."""
        now = self._clock()
        if now - self._logged_at.get(subject, float("-inf")) < LOG_INTERVAL_SECONDS:
            return False
        self._logged_at[subject] = now
        return True


class EscapingFilter(logging.Filter):
    """Escapes the message, arguments, extras and traceback of a record in place."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _escaped_value(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: _escaped_value(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple([_escaped_value(value) for value in record.args])
        for name, value in record.__dict__.items():
            if isinstance(value, str) and name not in STANDARD_ATTRIBUTES:
                record.__dict__[name] = escaped(value)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = _escaped_traceback(record.exc_info[1])
        return True


ESCAPING: Final = EscapingFilter()

SAFE_TYPES: Final = (int, float, type(None))
TRACEBACK_HEADING: Final = "Traceback (most recent call last):\n"


def _escaped_value(value: Any) -> Any:
    """The value itself if its text is safe: `%d` needs the number, and a formatter the object."""
    if isinstance(value, SAFE_TYPES):
        return value
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"
    return value if text.isprintable() else escaped(text)


def _escaped_traceback(error: BaseException) -> str | None:
    """The traceback with each exception's message on one line; None if nothing is to be escaped."""
    chain = [(each, _messages(each)) for each in _chain(error)]
    if all(message.isprintable() for _, messages in chain for message in messages):
        return None
    parts = [
        TRACEBACK_HEADING
        + "".join(traceback.format_tb(each.__traceback__))
        + "\n".join(map(escaped, messages))
        for each, messages in reversed(chain)
    ]
    return "\n\nAnother exception followed:\n\n".join(parts)


def _messages(error: BaseException) -> list[str]:
    """An exception's message and its notes."""
    try:
        text = f"{type(error).__qualname__}: {error}"
    except Exception:
        text = f"{type(error).__qualname__} without a text"
    return [text, *map(str, getattr(error, "__notes__", ()))]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that its traceback shows (causes, contexts, groups), latest first."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            context = None if each.__suppress_context__ else each.__context__
            pending += [*getattr(each, "exceptions", ()), each.__cause__ or context]


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to every record, for handlers with another formatter."""

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
        line |= _extras(record)
        if record.exc_info:
            line["exception"] = record.exc_text or self.formatException(record.exc_info)
        return _on_one_line(_to_json(line))


class TextFormatter(logging.Formatter):
    """`12:34:56 WARNING logger: message name=value …`, and below it the traceback: for people at a
    terminal."""

    default_time_format = "%H:%M:%S"
    default_msec_format = ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        extras = (f"{name}={value}" for name, value in _extras(record).items())
        return " ".join([super().formatMessage(record), *extras])


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """What was passed as `extra`."""
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in STANDARD_ATTRIBUTES and value is not None
    }


def _to_json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits
        return json.dumps(line, default=str)


def _on_one_line(text: str) -> str:
    """The JSON with unprintable characters beyond ASCII escaped, which JSON allows unescaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text
    )
