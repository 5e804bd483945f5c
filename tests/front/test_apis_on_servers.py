"""Responses and Messages on every kind of server, to a provider of the same wire and of others:
what a stream does when it is silent, when the provider fails, and when the client leaves."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.front.apis import APIS, PAIRS, WORDS, Api, events_of, read_events, reply_of
from tests.scripted_provider import Upstream, cuts, says, stalls, streams
from tests.servers import Site, until


@pytest.fixture(params=PAIRS, ids="-to-".join)
def pair(request: pytest.FixtureRequest) -> tuple[Api, str]:
    api, provider = request.param
    return APIS[api], provider


@pytest.fixture
def model(request: pytest.FixtureRequest, site: Site) -> str:
    """A name that the test has to itself."""
    return re.sub(r"[^a-z0-9_]+", "-", f"{request.node.name}-{site.process.pid}")


@contextlib.contextmanager
def opened(site: Site, api: Api, model: str) -> Iterator[httpx.Response]:
    body = api.body(model, stream=True)
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream("POST", site.url + api.path, json=body, headers=site.headers) as response,
    ):
        yield response


def post(site: Site, api: Api, model: str, **fields: Any) -> httpx.Response:
    return httpx.post(
        site.url + api.path,
        json=api.body(model, **fields),
        headers=site.headers,
        trust_env=False,
        timeout=60,
    )


def test_a_reply_and_its_record(
    site: Site, upstream: Upstream, pair: tuple[Api, str], model: str
) -> None:
    api, provider = pair
    upstream.script(model, says(reply_of(provider)))
    response = post(site, api, f"{provider}/{model}")
    assert response.status_code == 200, response.text
    assert api.read_text(response.json()) == WORDS
    assert response.headers["x-native-provider"] == provider
    assert ("request-id" in response.headers) is (api.name == "messages")
    [record] = site.wait_for_usage(model=f"{provider}/{model}")
    assert (record["endpoint"], record["status"], record["stream"]) == (api.endpoint, "ok", 0)
    assert record["completion_tokens"] > 0


def test_a_stream_keeps_its_connection_open_and_ends(
    site: Site, upstream: Upstream, pair: tuple[Api, str], model: str
) -> None:
    api, provider = pair
    gate = upstream.gate()
    begun, rest = events_of(provider)
    upstream.script(model, streams(*begun, gate, *rest))
    with opened(site, api, f"{provider}/{model}") as response:
        assert response.status_code == 200, response.read()
        lines = response.iter_lines()
        assert next(line for line in lines if api.first in line)
        for _ in range(2):
            assert next(line for line in lines if line == api.ping)
        gate.open()
        assert api.end in [line for line in lines if line][-1]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    [record] = site.wait_for_usage(model=f"{provider}/{model}")
    assert (record["endpoint"], record["status"], record["stream"]) == (api.endpoint, "ok", 1)
    assert record["estimated"] == 0


def test_a_provider_that_breaks_off_is_an_error_of_the_api(
    site: Site, upstream: Upstream, pair: tuple[Api, str], model: str
) -> None:
    """Claude Code asks again at once, without a stream: both calls are recorded, none twice."""
    api, provider = pair
    begun, _ = events_of(provider)
    upstream.script(model, streams(*begun, cuts))
    with opened(site, api, f"{provider}/{model}") as response:
        text = response.read().decode()
    assert response.status_code == 200
    assert api.failure in [line for line in text.splitlines() if line][-1]
    assert api.end not in text
    *_, failed = read_events(text)
    assert "broke" in api.read_error(failed) or "closed" in api.read_error(failed), failed
    upstream.script(model, says(reply_of(provider)))
    again = post(site, api, f"{provider}/{model}")
    assert api.read_text(again.json()) == WORDS
    records = site.wait_for_usage(2, model=f"{provider}/{model}")
    assert [(record["status"], record["stream"]) for record in records] == [
        ("upstream_error", 1),
        ("ok", 0),
    ]


def test_a_client_that_leaves_closes_the_upstream_and_is_recorded(
    site: Site, upstream: Upstream, pair: tuple[Api, str], model: str
) -> None:
    api, provider = pair
    begun, _ = events_of(provider)
    upstream.script(model, streams(*begun, stalls))
    with opened(site, api, f"{provider}/{model}") as response:
        lines = response.iter_lines()  # httpx closes the connection when this is dropped
        assert next(line for line in lines if api.first in line)
        assert upstream.is_answering(model)
    until(lambda: not upstream.is_answering(model), "the upstream connection to be closed")
    [record] = site.wait_for_usage(model=f"{provider}/{model}")
    assert (record["status"], record["endpoint"]) == ("client_closed", api.endpoint)
    assert record["completion_tokens"] > 0


def test_a_failure_before_the_first_event_is_a_status(
    site: Site, upstream: Upstream, pair: tuple[Api, str], model: str
) -> None:
    api, provider = pair
    upstream.script(model, says({"error": {"type": "x", "message": "Out of order."}}, 500))
    for stream in (False, True):
        response = post(site, api, f"{provider}/{model}", stream=stream)
        assert response.status_code in (502, 503), response.text
        assert response.json()["error"]["message"]
