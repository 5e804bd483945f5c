"""Errors of providers, as clients see them: a status, the envelope, and no secret."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.front.conftest import FAR_AWAY, native_api
from tests.front.test_errors import CHAT, PATH, TELLS_ALL, error_of
from tests.front.test_streaming import sent
from tests.scripted_provider import DONE, Gate, Upstream, completion, event, says, stalls, streams
from tests.servers import Site, running_site, until

HTML = {"content-type": "text/html"}


TOO_LONG = {"error": {"message": "too long", "code": "context_length_exceeded"}}


UPSTREAM_ERRORS = [
    ("html", says(b"<html>Welcome</html>", 200, HTML), 502, "upstream_error", "provider_error"),
    ("html-500", says(b"<html>stack trace at http://10.0.0.1/</html>", 500, HTML), 502, "upstream_error", "provider_error"),
    ("empty", says(b"", 200), 502, "upstream_error", "provider_error"),
    ("half", says(b'{"choices": [', 200), 502, "upstream_error", "provider_error"),
    ("no-choices", says({"choices": []}), 502, "upstream_error", "provider_error"),
    ("null-choice", says({"choices": [None]}), 502, "upstream_error", "provider_error"),
    ("inside-200", says({"error": {"message": "out of memory", "code": 500}}), 502, "upstream_error", "provider_error"),
    ("redirect", says(b"", 302, {"location": "http://169.254.169.254/latest"}), 502, "upstream_error", "provider_error"),
    ("bad-key", says({"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, 401), 502, "upstream_error", "provider_error"),
    ("quota", says({"error": {"message": "slow down"}}, 429, {"retry-after": "99999999"}), 429, "rate_limit_error", "rate_limit_exceeded"),
    ("repeats", says({"error": {"message": TELLS_ALL}}, 500), 502, "upstream_error", "provider_error"),
    ("repeats-400", says({"error": {"message": TELLS_ALL}}, 400), 400, "invalid_request_error", "invalid_request"),
    ("too-long", says(TOO_LONG, 400), 400, "invalid_request_error", "context_length_exceeded"),
    ("refuses", says({"error": {"message": "bad tool", "param": "tools"}}, 400), 400, "invalid_request_error", "invalid_request"),
    ("no-http", None, 502, "upstream_error", "connection_lost"),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize(
    ("name", "script", "status", "kind", "code"),
    UPSTREAM_ERRORS,
    ids=[row[0] for row in UPSTREAM_ERRORS],
)
def test_a_provider_that_fails(
    http: httpx.Client,
    asgi_site: Site,
    upstream: Upstream,
    name: str,
    script: Any,
    status: int,
    kind: str,
    code: str,
    stream: bool,
) -> None:
    async def no_http(exchange: Any) -> None:
        await exchange.send(b"\x15\x03\x01 this is not HTTP\r\n\r\n")

    upstream.script(name, script or no_http)
    response = http.post(PATH, json={**CHAT, "model": f"up/{name}", "stream": stream})
    error = error_of(response, status, kind, code)
    assert error["provider"] == "up"
    [record] = asgi_site.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["attempts"]) == (
        "upstream_error",
        code,
        1,
    )


def test_a_client_is_told_not_to_retry_what_retrying_cannot_mend(
    http: httpx.Client, upstream: Upstream
) -> None:
    upstream.script(
        "wrong-key", says({"error": {"message": "Incorrect API key provided: sk-up***cret"}}, 401)
    )
    response = http.post(PATH, json={**CHAT, "model": "up/wrong-key"})
    assert response.headers["x-should-retry"] == "false"
    assert "sk-up" not in response.text


def test_an_error_in_mid_stream_names_the_provider_and_no_secret(
    http: httpx.Client, upstream: Upstream
) -> None:
    error = b'data: {"error": {"message": "%s"}}\n\n' % TELLS_ALL.encode()
    gate = Gate(upstream.loop)
    upstream.script("breaks", streams(event({"content": "half"}), gate, error))
    text = ""
    with http.stream("POST", PATH, json={**CHAT, "model": "up/breaks", "stream": True}) as response:
        for piece in response.iter_text():
            gate.open()
            text += piece
    [told] = [
        json.loads(line[6:])["error"]
        for line in text.splitlines()
        if line.startswith('data: {"error"')
    ]
    assert (told["type"], told["code"], told["provider"]) == (
        "upstream_error",
        "provider_error",
        "up",
    )
    assert "(hidden)" in told["message"]
    assert "sk-upstream-secret" not in text
    assert "127.0.0.1" not in text
    assert "[DONE]" not in text


def test_a_provider_that_is_not_there(http: httpx.Client) -> None:
    error = error_of(
        http.post(PATH, json={**CHAT, "model": "dead/any"}),
        502,
        "upstream_error",
        "connection_failed",
    )
    assert error["provider"] == "dead"


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port on which connections are neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_provider_that_does_not_take_the_connection(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    with full_backlog() as port:
        settings = native_api(upstream, TIMEOUTS={**FAR_AWAY, "CONNECT": 0.5})
        settings["PROVIDERS"]["full"] = {
            "DIALECT": "openai",
            "BASE_URL": f"http://127.0.0.1:{port}/v1",
            "API_KEY": "k",
        }
        with running_site("uvicorn", tmp_path, folder, key, settings) as site:
            response = httpx.post(
                f"{site.url}{PATH}",
                json={**CHAT, "model": "full/x"},
                headers=site.headers,
                trust_env=False,
                timeout=60,
            )
            assert (
                error_of(response, 504, "upstream_timeout", "connect_timeout")["provider"] == "full"
            )
            [record] = site.wait_for_usage(model="full/x")
    assert (record["status"], record["error_code"]) == ("upstream_error", "connect_timeout")
    assert record["latency_ms"] >= 500


def test_a_providers_wait_is_bounded(http: httpx.Client, upstream: Upstream) -> None:
    upstream.script(
        "days", says({"error": {"message": "slow down"}}, 429, {"retry-after": "86400000"})
    )
    assert int(http.post(PATH, json={**CHAT, "model": "up/days"}).headers["retry-after"]) <= 300


def test_an_error_event_before_the_first_chunk_is_an_http_error(
    http: httpx.Client, upstream: Upstream, asgi_site: Site
) -> None:
    upstream.script(
        "late",
        streams(
            event({"role": "assistant", "content": ""}),
            b'data: {"error": {"message": "overloaded"}}\n\n',
        ),
    )
    response = http.post(PATH, json={**CHAT, "model": "up/late", "stream": True})
    error_of(response, 502, "upstream_error", "provider_error")
    [record] = asgi_site.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == ("upstream_error", "provider_error")


def test_a_line_that_never_ends_is_given_up(
    http: httpx.Client, upstream: Upstream, asgi_site: Site
) -> None:
    async def endless(exchange: Any) -> None:
        for _ in range(40):
            await exchange.piece(b"x" * 1024 * 1024)

    upstream.script("endless", streams(endless))
    response = http.post(PATH, json={**CHAT, "model": "up/endless", "stream": True})
    error_of(response, 502, "upstream_error", "provider_error")
    asgi_site.wait_for_usage(request_id=response.headers["x-request-id"], status="upstream_error")


def test_a_server_that_ignores_stream_is_streamed_all_the_same(
    http: httpx.Client, upstream: Upstream
) -> None:
    upstream.script("whole", says(completion("all at once")))
    text = http.post(PATH, json={**CHAT, "model": "up/whole", "stream": True}).text
    assert "all at once" in text
    assert text.endswith("data: [DONE]\n\n")


def test_done_inside_an_answer_does_not_end_it(http: httpx.Client, upstream: Upstream) -> None:
    upstream.script(
        "done",
        streams(
            event({"content": "say data: [DONE]"}),
            event({"content": " and go on"}),
            event({}, "stop"),
            DONE,
        ),
    )
    text = http.post(PATH, json={**CHAT, "model": "up/done", "stream": True}).text
    assert " and go on" in text


def test_a_client_that_leaves_before_a_complete_reply_is_recorded(
    upstream: Upstream, asgi_site: Site
) -> None:
    upstream.script("hangs", stalls)
    with sent(asgi_site, {**CHAT, "model": "up/hangs"}):
        until(lambda: upstream.is_answering("hangs"), "the provider to be asked")
    [record] = asgi_site.wait_for_usage(model="up/hangs")
    assert record["status"] == "client_closed"


DEEP: Any = json.loads("[" * 300 + "]" * 300)
DEEP_REPLY = says({**completion(), "unknown": DEEP})
DEEP_EVENT = streams(event({"content": "Hi", "annotations": DEEP}), DONE)
TWICE_COMPRESSED = says(completion(), headers={"content-encoding": "gzip, gzip"})


@pytest.mark.parametrize(
    ("script", "stream", "words"),
    [
        (DEEP_REPLY, False, "nested too deeply"),
        (DEEP_REPLY, True, "nested too deeply"),
        (DEEP_EVENT, True, "nested too deeply"),
        (TWICE_COMPRESSED, False, "compressed its answer"),
        (TWICE_COMPRESSED, True, "compressed its answer"),
    ],
)
def test_a_reply_that_is_more_than_it_seems(
    http: httpx.Client, upstream: Upstream, script: Any, stream: bool, words: str
) -> None:
    upstream.script("seems", script)
    response = http.post(PATH, json={**CHAT, "model": "up/seems", "stream": stream})
    assert words in error_of(response, 502, "upstream_error", "provider_error")["message"]
