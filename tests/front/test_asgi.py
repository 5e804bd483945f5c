"""The gateway's own ASGI application: what it answers itself, what it leaves to Django, and what it
must not skip."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.signals import request_finished
from django.test import override_settings

from native_api.asgi import GatewayASGI, get_asgi_application
from native_api.asgi.handler import _has_site_receivers
from tests.fork_server import run_python
from tests.front.conftest import native_api
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, running_site

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}

Run = Callable[..., AbstractContextManager[Site]]


@pytest.fixture
def run(template: tuple[Path, str], upstream: Upstream, tmp_path: Path) -> Run:
    """Runs a site with these settings of Django's over the test site's."""
    folder, key = template

    def running(prefix: str = "/native", **settings: Any) -> AbstractContextManager[Site]:
        return running_site(
            "uvicorn",
            tmp_path,
            folder,
            key,
            native_api(upstream),
            prefix,
            SITE_SETTINGS=json.dumps(settings),
        )

    return running


def call(site: Site, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        json=CHAT,
        headers={**site.headers, **headers},
        trust_env=False,
        timeout=60,
    )


START_AND_STOP = """
import asyncio, gc
from asgiref.testing import ApplicationCommunicator
from tests.site_asgi import application

async def serve():
    server = ApplicationCommunicator(application, {"type": "lifespan"})
    for step in ("startup", "shutdown"):
        await server.send_input({"type": f"lifespan.{step}"})
        print((await server.receive_output(60))["type"], gc.get_freeze_count() > 10_000)

asyncio.run(serve())
"""


@pytest.mark.parametrize(
    ("settings", "is_frozen"),
    [({}, True), ({"GC_FREEZE": False}, False), ({"GC_FREEZE": "no"}, False)],
)
def test_objects_that_exist_at_the_start_are_frozen_if_the_site_allows_it(
    settings: dict[str, Any], is_frozen: bool, template: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copy(template[0] / "db.sqlite3", tmp_path)
    done = run_python(["-c", START_AND_STOP], environment_for(tmp_path, settings))
    steps = [f"lifespan.{step}.complete {is_frozen}" for step in ("startup", "shutdown")]
    assert done.stdout.splitlines() == steps, done.stderr


def test_a_page_of_the_sites_below_the_prefix_is_the_sites(asgi_site: Site) -> None:
    assert httpx.get(f"{asgi_site.url}/own/page", trust_env=False, timeout=60).text == "a page"


def test_a_site_may_include_the_app_at_its_root(run: Run) -> None:
    with run(prefix="", ROOT_URLCONF="tests.site_urls_at_root") as site:
        assert call(site).status_code == 200
        assert httpx.get(f"{site.url}/own/page", trust_env=False, timeout=60).text == "a page"
        assert (
            httpx.get(f"{site.url}/nowhere", trust_env=False, timeout=60).json()["error"]["code"]
            == "not_found"
        )


def test_what_security_middleware_promises_is_kept(run: Run) -> None:
    settings = {
        "SECURE_HSTS_SECONDS": 60,
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    }
    with run(**settings) as site:
        headers = call(site, **{"x-forwarded-proto": "https"}).headers
        assert (headers["strict-transport-security"], headers["x-content-type-options"]) == (
            "max-age=60",
            "nosniff",
        )
        assert "strict-transport-security" not in call(site).headers


def test_middleware_of_the_sites_own_sees_every_request(run: Run) -> None:
    with run(MIDDLEWARE=["tests.front.policies.Stamp"]) as site:
        answer = call(site)
        assert (answer.status_code, answer.headers["x-stamp"]) == (200, "seen")


def test_a_receiver_of_the_sites_own_is_noticed() -> None:
    def receiver(**kwargs: Any) -> None:
        pass

    assert not _has_site_receivers()
    request_finished.connect(receiver)
    try:
        assert _has_site_receivers()
    finally:
        request_finished.disconnect(receiver)


# --- messages, as servers send them --------------------------------------------------------------


@pytest.fixture
def application() -> GatewayASGI:
    return get_asgi_application()


def answered(application: GatewayASGI, **scope: Any) -> tuple[int, bytes]:
    """Status and body for a request with this scope."""
    whole = {
        "type": "http",
        "method": "GET",
        "headers": [],
        "query_string": b"",
        "root_path": "",
        **scope,
    }

    async def ask() -> tuple[int, bytes]:
        communicator = ApplicationCommunicator(application, whole)
        await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
        start, body = await communicator.receive_output(60), await communicator.receive_output(60)
        await communicator.wait(60)
        return start["status"], body["body"]

    return asyncio.run(ask())


def test_a_server_may_mount_the_site_below_a_path(application: GatewayASGI) -> None:
    assert answered(application, path="/app/native/health/live", root_path="/app") == (
        200,
        b'{"status":"ok"}',
    )


def test_a_query_that_is_not_utf_8_is_refused_in_the_envelope(application: GatewayASGI) -> None:
    status, body = answered(application, path="/native/health/live", query_string=b"\xff")
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("length", [b"99999999", b"9" * 5000])
@override_settings(
    NATIVE_API={"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}
)
def test_a_body_that_is_declared_too_large_is_not_waited_for(
    application: GatewayASGI, length: bytes
) -> None:
    scope = {
        "path": "/native/v1/chat/completions",
        "method": "POST",
        "headers": [(b"content-length", length), (b"x-request-id", b"mine")],
    }
    status, body = answered(application, **scope)
    assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")


def test_a_client_that_leaves_within_its_body_is_no_error(application: GatewayASGI) -> None:
    async def leave() -> list[Any]:
        headers = [(b"authorization", b"Bearer nk_unknown")]
        scope = {
            "type": "http",
            "path": "/native/v1/models",
            "method": "POST",
            "headers": headers,
            "query_string": b"",
        }
        communicator = ApplicationCommunicator(application, scope)
        await communicator.send_input({"type": "http.request", "body": b"{", "more_body": True})
        await communicator.send_input({"type": "http.disconnect"})
        await communicator.wait(60)
        return [] if await communicator.receive_nothing() else [await communicator.receive_output()]

    assert asyncio.run(leave()) == []
