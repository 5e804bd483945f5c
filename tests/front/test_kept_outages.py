"""Kept responses at two processes with one PostgreSQL, also while it refuses or hangs: replies then
say that they are not kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.front.conftest import native_api
from tests.hanging_proxy import HangingProxy, hanging_proxy
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.usage.conftest import POSTGRES, ask_postgres, refusing_connections

NAME = f"native_kept_{secrets.token_hex(4)}"
URL = f"{POSTGRES.rpartition('/')[0]}/{NAME}"


@pytest.fixture(scope="module")
def database() -> Iterator[HangingProxy]:
    """A database that can hang."""
    try:
        ask_postgres(POSTGRES, f"CREATE DATABASE {NAME}")
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL at {POSTGRES}")
    parts = urlsplit(POSTGRES)
    try:
        with hanging_proxy(parts.hostname or "", parts.port or 0) as proxy:
            yield proxy
    finally:
        ask_postgres(POSTGRES, f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture(scope="module")
def sites(
    database: HangingProxy, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Site]]:
    folder = tmp_path_factory.mktemp("kept-outages")
    key = populate(environment_for(folder, {}, TEST_DATABASE_URL=URL))
    parts = urlsplit(URL)
    shared = {
        "TEST_DATABASE_URL": URL.replace(
            f"{parts.hostname}:{parts.port}", f"127.0.0.1:{database.port}"
        ),
        "PATIENCE": "production",
    }
    settings = native_api(upstream, RESPONSES={"STORE": True})
    with (
        running_site("uvicorn", folder, folder, key, settings, **shared) as one,
        running_site("gunicorn", folder, folder, key, settings, **shared) as other,
    ):
        yield one, other
        database.go_on()


def ask(site: Site, **body: Any) -> httpx.Response:
    body = {"model": "echo/any", "input": "Hello", **body}
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.post(f"{site.url}/v1/responses", json=body, headers=site.headers)


def keep(site: Site, **body: Any) -> str:
    """The id of a response that was kept."""
    answer = ask(site, **body)
    assert answer.json()["store"] is True, answer.text
    identity: str = answer.json()["id"]
    return identity


def is_kept(site: Site) -> bool:
    answer = ask(site)
    assert answer.status_code == 200
    kept: bool = answer.json()["store"]
    return kept


def test_a_conversation_goes_on_in_another_process(sites: tuple[Site, Site]) -> None:
    one, other = sites
    identity = keep(one, input="one")
    for site in (other, one, other):
        identity = keep(site, input="and then", previous_response_id=identity)
    with httpx.Client(trust_env=False, timeout=60, headers=one.headers) as client:
        read = client.get(f"{one.url}/v1/responses/{identity}").json()
        assert read["output"][0]["content"][0]["text"] == "and then"
        assert client.delete(f"{other.url}/v1/responses/{identity}").status_code == 200
    assert ask(one, previous_response_id=identity).status_code == 400


def test_a_database_that_refuses(sites: tuple[Site, Site]) -> None:
    one, _ = sites
    identity = keep(one)
    with refusing_connections(URL):
        assert not is_kept(one)
        answer = ask(one, previous_response_id=identity)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "database_unavailable"
        assert answer.headers["retry-after"] == "5"
    until(lambda: is_kept(one), "responses to be kept again")
    assert ask(one, previous_response_id=identity).status_code == 200


def test_a_database_that_hangs_is_waited_for_once(
    sites: tuple[Site, Site], database: HangingProxy
) -> None:
    one, _ = sites
    identity = keep(one)
    database.hang()
    try:
        assert not is_kept(one)
        waiting = database.waiting_count
        assert not any(is_kept(one) for _ in range(5))
        assert ask(one, previous_response_id=identity).status_code == 503
        assert database.waiting_count <= waiting + 3, "the probe, and the recorders of both"
    finally:
        database.go_on()
    until(lambda: is_kept(one), "responses to be kept again")
    assert ask(one, previous_response_id=identity).status_code == 200
