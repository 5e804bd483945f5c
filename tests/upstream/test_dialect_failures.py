"""A site's dialect that fails to read an answer: the client gets 502, and the log names the place,
without a word of the answer. Real HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS, OpenAI
from native_api.dialects.openai_chat.stream import OpenAIStream
from tests.scripted_provider import Script
from tests.upstream.scripted_replies import (
    Scene,
    fails,
    sends,
    sends_stream,
    streamed,
    whole,
)

ANSWER = "the text of an answer"
HERE = Path(__file__)


class FailingStream(OpenAIStream):
    def feed(self, event: Any) -> Iterator[Any]:
        raise KeyError(ANSWER)  # feed


class FailingEnd(OpenAIStream):
    def close(self) -> Any:
        raise KeyError(ANSWER)  # close


class Failing(OpenAI):
    """Fails in all that it reads."""

    name = "failing"
    wire = ""

    def response(self, body: Any, target: Any) -> Any:
        raise KeyError(ANSWER)  # response

    def stream(self, target: Any) -> Any:
        return FailingStream(target.provider.quirks)

    def error(self, status: int, headers: Any, body: bytes) -> Any:
        raise KeyError(ANSWER)  # error


class FailingLate(Failing):
    def stream(self, target: Any) -> Any:
        return FailingEnd(target.provider.quirks)


@pytest.fixture(autouse=True)
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DIALECTS, "site", {"failing": Failing(), "late": FailingLate()})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "native_api.upstream" and record.levelno == logging.WARNING
    ]


@pytest.mark.parametrize(
    ("name", "script", "stream", "method"),
    [
        ("failing", sends(whole("openai")), False, "response"),
        ("failing", sends(whole("openai")), True, "response"),
        ("failing", sends_stream("openai", streamed("openai")), True, "feed"),
        ("late", sends_stream("openai", streamed("openai")), True, "close"),
        ("failing", sends(b"{}", status=500), False, "error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_log_names_the_exception_and_its_line(
    server: Scene,
    caplog: pytest.LogCaptureFixture,
    name: str,
    script: Script,
    stream: bool,
    method: str,
) -> None:
    error = fails(server, name, script, stream)
    assert error.status == 502
    line = HERE.read_text().splitlines().index(f"        raise KeyError(ANSWER)  # {method}") + 1
    assert lines(caplog) == [
        f"The dialect {name} could not read an answer of the provider p: "
        f"KeyError in {HERE}, line {line}."
    ]
    assert ANSWER not in caplog.text


@pytest.mark.parametrize(
    ("script", "stream"),
    [
        (sends(b"not JSON"), False),
        (sends_stream("openai", b"data: not JSON\n\n"), True),
        (sends_stream("openai", b'data: {"error": {"message": "No."}}\n\n'), True),
        (sends_stream("openai"), True),
        (sends(b"not JSON", status=500), False),
    ],
)
def test_what_is_the_providers_own_fault_is_not_logged(
    server: Scene, caplog: pytest.LogCaptureFixture, script: Script, stream: bool
) -> None:
    fails(server, "openai", script, stream)
    assert lines(caplog) == []
