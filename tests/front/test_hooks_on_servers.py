"""A site's own chat endpoint with DRF's hooks overridden, on real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.front.conftest import Serve
from tests.servers import Site

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module", params=["uvicorn", "uvicorn-django", "gunicorn"])
def site(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    urls = json.dumps({"ROOT_URLCONF": "tests.site_urls_with_hooks"})
    with serve(request.param, SITE_SETTINGS=urls) as running:
        yield running


def call(site: Site, chat: dict[str, Any] = CHAT, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        json=chat,
        headers={**site.headers, **headers},
        trust_env=False,
        timeout=60,
    )


def test_a_call_passes_through_the_hooks(site: Site) -> None:
    response = call(site)
    assert response.status_code == 200
    assert (response.headers["x-users"], response.headers["x-team"]) == ("1", "staff")
    assert response.headers["cache-control"] == "no-store"
    site.wait_for_usage(request_id=response.headers["x-request-id"])


def test_its_permissions_are_asked(site: Site) -> None:
    response = call(site, **{"x-intern": "1"})
    assert response.status_code == 403
    assert response.json()["error"]["message"] == "Interns may not chat."
    assert (response.headers["x-handled"], response.headers["x-team"]) == (
        "PermissionDenied",
        "staff",
    )


def test_a_stream_can_be_wrapped(site: Site) -> None:
    response = call(site, {**CHAT, "stream": True}, **{"x-sign": "1"})
    assert (response.status_code, response.headers["x-team"]) == (200, "staff")
    assert response.text.endswith("data: [DONE]\n\n: signed\n\n")
    site.wait_for_usage(request_id=response.headers["x-request-id"])


def test_an_error_of_the_sites_is_in_the_envelope(site: Site) -> None:
    known, unknown = call(site, **{"x-bug": "known"}), call(site, **{"x-bug": "unknown"})
    assert (known.status_code, known.headers["x-handled"]) == (500, "APIException")
    assert (unknown.status_code, "x-handled" in unknown.headers) == (500, False)
    for response in (known, unknown):
        assert response.json()["error"]["code"] == "internal_error"
        assert "secret" not in response.text
