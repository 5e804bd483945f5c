"""Whatever fails after the provider began to answer: its connection is closed, the call is
recorded, and its places are free."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.client import request_bytes
from tests.front.conftest import Serve, native_api
from tests.front.failing_policies import STEPS
from tests.scripted_provider import Upstream, event, stalls, streams
from tests.servers import Site, until

PATH = "/v1/chat/completions"
ONE_AT_ONCE = [{"SUBJECT": "each_user", "METRIC": "concurrent_requests", "AMOUNT": 1}]
KINDS = ["uvicorn", "uvicorn-django", "gunicorn"]


def settings_for(upstream: Upstream, **more: Any) -> dict[str, Any]:
    """One call at once for each user and at the provider: the next one shows that the places are
    free."""
    settings = native_api(upstream, KEEPALIVE_SECONDS=0.2, LIMITS=ONE_AT_ONCE, **more)
    settings["PROVIDERS"]["up"]["MAX_CONCURRENCY"] = 1
    return settings


@pytest.fixture(scope="module", params=KINDS)
def failing(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    """A site whose middleware is Django's own, so that under our ASGI application requests go the
    short way."""
    settings = settings_for(
        upstream,
        DEFAULT_AUTHENTICATION_CLASSES=["tests.front.failing_policies.Saboteur"],
        UNKNOWN_FIELDS="drop",
    )
    with serve(request.param, settings, DEBUG="1") as running:
        yield running


@pytest.fixture(scope="module", params=KINDS)
def dropping(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    more = {
        "DEBUG": "1",
        "SITE_SETTINGS": json.dumps({"MIDDLEWARE": ["tests.front.failing_policies.Drops"]}),
    }
    with serve(request.param, settings_for(upstream), **more) as running:
        yield running


def endless(upstream: Upstream, request: pytest.FixtureRequest, site: Site) -> dict[str, Any]:
    """A call whose stream does not end by itself. Its model's name is the test's own."""
    model = re.sub(r"[^a-z0-9_]+", "-", f"{request.node.name}-{site.process.pid}")
    upstream.script(model, streams(event({"content": "some words"}), stalls))
    return {"model": f"up/{model}", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def post(site: Site, chat: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}{PATH}",
        json=chat,
        headers={**site.headers, **headers},
        trust_env=False,
        timeout=60,
    )


def everything_is_closed(
    site: Site, upstream: Upstream, chat: dict[str, Any], status: set[str]
) -> None:
    until(
        lambda: not upstream.is_answering(chat["model"].removeprefix("up/")),
        "the upstream connection to be closed",
    )
    [record] = site.wait_for_usage(model=chat["model"])
    assert record["status"] in status
    assert (record["prompt_tokens"] > 0, record["provider"]) == (True, "up")
    hello = {**chat, "model": "up/hello", "stream": False}
    assert (
        until(
            lambda: (answer := post(site, hello)).status_code == 200 and answer, "free places"
        ).status_code
        == 200
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step(
    failing: Site, upstream: Upstream, request: pytest.FixtureRequest, step: str
) -> None:
    chat = endless(upstream, request, failing)
    answer = post(failing, chat, **{"x-fails": step})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == (
        "no-store",
        "application/json",
    )
    assert "sk-of-the-site" not in answer.text
    assert len(upstream.requests_for(chat["model"].removeprefix("up/"))) == 1, (
        "the step comes after the provider began to answer"
    )
    everything_is_closed(failing, upstream, chat, {"error", "client_closed"})


def test_a_field_whose_name_would_break_a_header(
    failing: Site, upstream: Upstream, request: pytest.FixtureRequest
) -> None:
    chat = endless(upstream, request, failing)
    odd = {"a\r\nset-cookie: x=1": 1, "b\u2028é\x00": 1, "c" * 100: 1}
    url = f"{failing.url}{PATH}"
    with (
        httpx.Client(headers=failing.headers, trust_env=False, timeout=60) as client,
        client.stream("POST", url, json={**chat, **odd}) as answer,
    ):
        next(answer.iter_lines())
        omitted = answer.headers["x-native-omitted"]
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert omitted == "a??set-cookie: x=1, b???, " + "c" * 80
    everything_is_closed(failing, upstream, chat, {"client_closed"})


@pytest.mark.parametrize("how", ["raises", "replaces"])
def test_a_middleware_that_drops_the_response(
    dropping: Site, upstream: Upstream, request: pytest.FixtureRequest, how: str
) -> None:
    """Django closes the response that it sends, and no other."""
    chat = endless(upstream, request, dropping)
    assert (
        post(dropping, chat, **{"x-drops": how}).status_code
        == {"raises": 500, "replaces": 418}[how]
    )
    everything_is_closed(dropping, upstream, chat, {"client_closed"})


def test_a_client_that_leaves_between_the_view_and_the_first_byte(
    dropping: Site, upstream: Upstream, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    chat = endless(upstream, request, dropping)
    go_on = tmp_path / "go-on"
    url = urlsplit(dropping.url)
    with contextlib.closing(
        socket.create_connection((url.hostname, url.port), timeout=60)
    ) as connection:
        headers = {**dropping.headers, "content-type": "application/json", "x-drops": str(go_on)}
        connection.sendall(
            request_bytes(f"{dropping.url}{PATH}", "POST", headers, json.dumps(chat).encode())
        )
        until(
            lambda: upstream.is_answering(chat["model"].removeprefix("up/")),
            "the provider to be asked",
        )
    go_on.touch()
    everything_is_closed(dropping, upstream, chat, {"client_closed"})
