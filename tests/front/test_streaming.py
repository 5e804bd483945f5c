"""Streams on every kind of server: each chunk when it came, the upstream closed when the client
leaves, no transaction held.

Shown by gates, never by the clock: the provider does not send the next chunk before the client has
the last. The site has GZipMiddleware and ATOMIC_REQUESTS, and timeouts that are far away, so
nothing but the client's leaving closes a stream.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.client import request_bytes
from tests.front.conftest import OTHER_KINDS, Serve, native_api
from tests.scripted_provider import DONE, Exchange, Upstream, event, stalls, streams
from tests.servers import COMMANDS, Site, until

OTHER_ASGI_KINDS = [kind for kind in OTHER_KINDS if kind.values != ("waitress",)]

HI: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module", params=[*COMMANDS, *OTHER_KINDS])
def server(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    settings = native_api(upstream, KEEPALIVE_SECONDS=0.2)
    with serve(request.param, settings, ATOMIC_REQUESTS="1") as running:
        yield running


@pytest.fixture
def model(request: pytest.FixtureRequest, server: Site) -> str:
    """A name that the test has to itself."""
    return re.sub(r"[^a-z0-9_]+", "-", f"{request.node.name}-{server.process.pid}")


@contextlib.contextmanager
def opened(server: Site, model: str, **headers: str) -> Iterator[httpx.Response]:
    body = {"model": f"up/{model}", "messages": HI, "stream": True}
    sent = {**server.headers, **headers}
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream(
            "POST", f"{server.url}/v1/chat/completions", json=body, headers=sent
        ) as response,
    ):
        yield response


def test_each_chunk_leaves_when_it_came(server: Site, upstream: Upstream, model: str) -> None:
    gates = [upstream.gate() for _ in range(3)]
    steps = [
        step
        for number, gate in enumerate(gates)
        for step in (event({"content": f"word {number}"}), gate)
    ]
    upstream.script(model, streams(*steps, event({}, "stop"), DONE))
    with opened(
        server, model, **{"accept-encoding": "gzip, br", "accept": "text/event-stream"}
    ) as response:
        lines = response.iter_lines()
        for number, gate in enumerate(gates):
            assert f"word {number}" in next(line for line in lines if line.startswith("data: "))
            gate.open()
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache, no-store"
    assert response.headers["x-accel-buffering"] == "no"


def test_silence_is_bridged_by_comments(server: Site, upstream: Upstream, model: str) -> None:
    gate = upstream.gate()
    upstream.script(
        model,
        streams(event({"content": "a"}), gate, event({"content": "b"}), event({}, "stop"), DONE),
    )
    with opened(server, model) as response:
        lines = response.iter_lines()
        for _ in range(2):
            assert next(line for line in lines if line.startswith(":")) == ": keep-alive"
        gate.open()
        assert list(lines)[-2:] == ["data: [DONE]", ""]


@contextlib.contextmanager
def sent(server: Site, chat: dict[str, Any]) -> Iterator[None]:
    """The request is sent, and its answer not waited for."""
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        headers = {**server.headers, "content-type": "application/json"}
        connection.sendall(
            request_bytes(
                f"{server.url}/v1/chat/completions", "POST", headers, json.dumps(chat).encode()
            )
        )
        yield


async def talks(exchange: Exchange) -> None:
    """Chunks without end or pause."""
    while True:
        await exchange.piece(event({"content": "more words "}))


@pytest.mark.parametrize("goes_on", [stalls, talks])
def test_a_client_that_leaves_closes_the_upstream_and_is_recorded(
    server: Site, upstream: Upstream, model: str, goes_on: Any
) -> None:
    upstream.script(model, streams(event({"content": "some words"}), goes_on))
    with opened(server, model) as response:
        lines = response.iter_lines()  # httpx closes the connection when this is dropped
        first = next(lines)
        assert response.status_code == 200, first
        assert upstream.is_answering(model)
    until(lambda: not upstream.is_answering(model), "the upstream connection to be closed")
    [record] = server.wait_for_usage(model=f"up/{model}")
    assert (record["status"], record["estimated"], record["error_code"]) == ("client_closed", 1, "")
    assert record["completion_tokens"] > 0
    assert record["ttft_ms"] is not None


def test_an_open_stream_holds_no_transaction(server: Site, upstream: Upstream, model: str) -> None:
    gate = upstream.gate()
    upstream.script(model, streams(event({"content": "a"}), gate, event({}, "stop"), DONE))
    with opened(server, model) as response:
        lines = response.iter_lines()
        next(lines)
        other = sqlite3.connect(server.database, timeout=60)
        with other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE auth_user SET first_name = 'Alice'")
        other.close()
        gate.open()
        assert list(lines)[-2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn-django", *OTHER_ASGI_KINDS], indirect=True)
@pytest.mark.parametrize("stream", [True, False])
def test_under_asgi_a_client_that_leaves_before_the_answer_begins_is_noticed(
    server: Site, upstream: Upstream, model: str, stream: bool
) -> None:
    """A WSGI server does not tell before there is something to send."""
    upstream.script(model, stalls)
    with sent(server, {"model": f"up/{model}", "messages": HI, "stream": stream}):
        until(lambda: upstream.is_answering(model), "the provider to be asked")
    until(lambda: not upstream.is_answering(model), "the upstream connection to be closed")
    [record] = server.wait_for_usage(model=f"up/{model}")
    assert (record["status"], record["ttft_ms"], record["stream"]) == (
        "client_closed",
        None,
        stream,
    )
