"""Log lines: one JSON object each, whatever they are given, and each with its request."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from native_api import logs
from native_api.background import executors
from native_api.inbound.openai.chat import ChatStreamWriter
from native_api.views.event_stream import EventStream
from tests.cases import each
from tests.servers import ROOT


@pytest.fixture
def in_a_request() -> Iterator[None]:
    token = logs.request_id.set("request-7")
    yield
    logs.request_id.reset(token)


def record(message: str = "hello %s", *args: Any, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("of.a.test").makeRecord(
        "of.a.test", logging.WARNING, __file__, 1, message, args or ("you",), None, extra=extra
    )


def written(*args: Any, **extra: Any) -> dict[str, Any]:
    line = logs.JSONFormatter().format(record(*args, **extra))
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_says_when_how_bad_who_and_what() -> None:
    line = written(status=200, model=None)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "of.a.test",
        "message": "hello you",
        "status": 200,
    }


def test_a_line_for_people_has_the_same_on_one_line() -> None:
    line = logs.TextFormatter().format(record(status=200, model=None))
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING of.a.test: hello you status=200", line)


@pytest.mark.usefixtures("in_a_request")
def test_a_line_that_is_written_in_a_request_names_it() -> None:
    assert written()["request_id"] == "request-7"
    assert written(request_id="its own")["request_id"] == "its own"


@pytest.mark.usefixtures("in_a_request")
def test_formatters_of_the_sites_own_get_it_by_a_filter() -> None:
    one = record()
    assert logs.RequestIdFilter().filter(one)
    assert logging.Formatter("%(request_id)s %(message)s").format(one) == "request-7 hello you"


def test_outside_of_a_request_there_is_none() -> None:
    one = record()
    logs.RequestIdFilter().filter(one)
    assert vars(one)["request_id"] == ""
    assert "request_id" not in written()


@pytest.mark.parametrize("odd", ["\ud800", 2**70, object(), {1: {2}}, "line\nbreak", b"bytes"])
def test_what_json_cannot_say_costs_no_line(odd: Any) -> None:
    assert "odd" in written(odd=odd)


# --- forged lines --------------------------------------------------------------------------------

FORGED = [
    "a\nINFO forged",
    "a\r\nb",
    "\x1b[2K",
    "\x00",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202eabc",
    "\ud800",
]


def line_of(formatter: logging.Formatter, log: Any) -> str:
    """What a handler with this formatter writes when `log` is given a logger of the app's."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger, handler = logs.get_logger("native_api.of_a_test"), Keeping()
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    try:
        log(logger)
    finally:
        logger.removeHandler(handler)
    [line] = lines
    return line


PLAIN = logging.Formatter("%(levelname)s %(message)s %(model)s", defaults={"model": ""})
FORMATTERS = [PLAIN, logs.JSONFormatter()]
BY_WAY = {
    "argument": lambda logger, text: logger.error("GET %s", text),
    "argument by name": lambda logger, text: logger.error("GET %(path)s", {"path": text}),
    "object": lambda logger, text: logger.error("failed: %s", LookupError(text)),
    "message": lambda logger, text: logger.error(text.replace("%", "")),
    "extra": lambda logger, text: logger.error("GET", extra={"model": text}),
}


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["plain", "json"])
@pytest.mark.parametrize("way", BY_WAY)
@each("text", FORGED)
def test_no_way_leads_to_a_second_line(formatter: logging.Formatter, way: str, text: str) -> None:
    line = line_of(formatter, lambda logger: BY_WAY[way](logger, text))
    assert line.isprintable()
    assert "GET" in line or way in ("object", "message")


def fails_with(error: BaseException) -> Any:
    def log(logger: logging.Logger) -> None:
        try:
            raise error
        except BaseException as raised:
            logger.error("It failed.", exc_info=raised)

    return log


def chained(text: str) -> Exception:
    error = ValueError("outside")
    error.__cause__ = KeyError(text)
    error.__cause__.__context__ = LookupError(text)
    return error


def noted(text: str) -> Exception:
    error = ValueError("outside")
    error.add_note(text)
    return error


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["plain", "json"])
@pytest.mark.parametrize(
    "kind", [ValueError, chained, noted, lambda text: ExceptionGroup("several", [ValueError(text)])]
)
@each("text", FORGED)
def test_the_text_of_an_exception_stays_on_its_line(
    formatter: logging.Formatter, kind: Any, text: str
) -> None:
    line = line_of(formatter, fails_with(kind(text)))
    assert all(each.isprintable() for each in line.split("\n"))
    assert not [each for each in line.split("\n") if each.startswith("INFO")]
    assert "test_logs.py" in line, "the stack is there"


def test_a_traceback_without_such_texts_is_as_ever() -> None:
    line = line_of(PLAIN, fails_with(LookupError("gone")))
    assert line.startswith("ERROR It failed. \nTraceback (most recent call last):\n  File ")
    assert line.endswith("LookupError: gone")


def test_numbers_and_objects_stay_what_they_are() -> None:
    assert (
        line_of(PLAIN, lambda logger: logger.error("%d of %5.1f, %s", 3, 2.5, ["é"]))
        == "ERROR 3 of   2.5, ['é'] "
    )


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


def test_an_object_without_a_text_costs_no_line() -> None:
    assert "<Unspeakable without a text>" in line_of(
        PLAIN, lambda logger: logger.error("%s", Unspeakable())
    )


def test_every_logger_of_the_app_escapes() -> None:
    package = ROOT / "native_api"
    for path in package.rglob("*.py"):
        for name in re.findall(r'get_?[lL]ogger\("(native_api[^"]*)"\)', path.read_text()):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            importlib.import_module(module)
            assert logs.ESCAPING in logging.getLogger(name).filters, (
                f"{path}: take {name} from logs.get_logger"
            )


def test_an_exception_is_told_with_its_stack() -> None:
    one = record()
    try:
        raise LookupError("gone")
    except LookupError:
        one.exc_info = sys.exc_info()
    assert "LookupError: gone" in json.loads(logs.JSONFormatter().format(one))["exception"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-1", True),
        ("a" * 128, True),
        ("", False),
        ("a b", False),
        ("a\nb", False),
        ("a" * 129, False),
    ],
)
def test_the_clients_request_id_is_kept_if_it_is_sane(sent: str, kept: bool) -> None:
    assert (logs.sane_request_id(sent) == sent) is kept
    assert logs.SANE_REQUEST_ID.fullmatch(logs.sane_request_id(sent))


@pytest.mark.usefixtures("in_a_request")
def test_the_request_is_known_in_worker_threads_too() -> None:
    assert executors.foreign.lane(1).submit(logs.request_id.get).result(60) == "request-7"


def test_what_is_imported_before_django_is_set_up_makes_no_logger() -> None:
    """Django's logging, configured after that, would disable it unless the site says otherwise."""
    code = "import logging, native_api.asgi; print([name for name in logging.root.manager.loggerDict if 'native' in name])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"


class Broken:
    """A reply with a bug."""

    is_forwarded = False

    async def __aiter__(self) -> AsyncIterator[list[Any]]:
        yield []
        raise RuntimeError("a bug that knows sk-secret")

    async def aclose(self) -> None:
        pass


@pytest.mark.usefixtures("in_a_request")
def test_a_bug_in_a_stream_is_logged_with_its_request_and_told_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def whole() -> bytes:
        return b"".join([piece async for piece in EventStream(Broken(), ChatStreamWriter())])

    event = asyncio.run(whole())
    assert b'"code":"internal_error"' in event
    assert b"sk-secret" not in event
    assert b"[DONE]" not in event
    [line] = caplog.records
    assert vars(line)["request_id"] == "request-7"
    assert line.exc_info


def test_a_line_that_repeats_itself_is_due_once_a_minute() -> None:
    now = [0.0]
    interval = logs.LogInterval(lambda: now[0])
    assert [interval.is_due(), interval.is_due()] == [True, False]
    assert interval.is_due("another")
    now[0] += logs.LOG_INTERVAL_SECONDS
    assert [interval.is_due(), interval.is_due()] == [True, False]
    interval.reset()
    assert interval.is_due("another")
