"""Log lines: one JSON object each, whatever they are given, and each with its request."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from native_api import bridge, logs
from native_api.renderers import EventStream
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
    assert line == {"level": "warning", "logger": "of.a.test", "message": "hello you", "status": 200}


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


def test_an_exception_is_told_with_its_stack() -> None:
    one = record()
    try:
        raise LookupError("gone")
    except LookupError:
        one.exc_info = sys.exc_info()
    assert "LookupError: gone" in json.loads(logs.JSONFormatter().format(one))["exception"]


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1", True), ("a" * 128, True), ("", False), ("a b", False), ("a\nb", False), ("a" * 129, False)]
)
def test_the_clients_request_id_is_kept_if_it_is_sane(sent: str, kept: bool) -> None:
    assert (logs.sane_request_id(sent) == sent) is kept
    assert logs.SANE_REQUEST_ID.fullmatch(logs.sane_request_id(sent))


@pytest.mark.usefixtures("in_a_request")
def test_the_request_is_known_in_worker_threads_too() -> None:
    assert bridge.Threads("of-a-test", 1).submit(logs.request_id.get).result(5) == "request-7"


def test_what_is_imported_before_django_is_set_up_makes_no_logger() -> None:
    """Django's logging, configured after that, would disable it unless the site says otherwise."""
    code = "import logging, native_api.asgi; print([name for name in logging.root.manager.loggerDict if 'native' in name])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "[]\n"


class Broken:
    """A reply with a bug."""

    async def __aiter__(self) -> AsyncIterator[list[Any]]:
        yield []
        raise RuntimeError("a bug that knows sk-secret")

    async def aclose(self) -> None:
        pass


@pytest.mark.usefixtures("in_a_request")
def test_a_bug_in_a_stream_is_logged_with_its_request_and_told_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> bytes:
        return b"".join([piece async for piece in EventStream(Broken())])

    event = asyncio.run(whole())
    assert b'"code":"internal_error"' in event
    assert b"sk-secret" not in event
    assert b"[DONE]" not in event
    [line] = caplog.records
    assert vars(line)["request_id"] == "request-7"
    assert line.exc_info
