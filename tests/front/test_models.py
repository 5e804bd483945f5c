"""`GET v1/models` in the shape of the API that the client speaks, read by the official SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types import ModelInfo

from tests.front.conftest import sdk_for
from tests.servers import Site

ROUTES = ["hello", "mute", "second-chance", "stalled"]
VERSION = {"anthropic-version": "2023-06-01"}


@pytest.fixture
def claude(asgi_site: Site) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=asgi_site.url, api_key=asgi_site.key, max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 20, 1000])
def test_anthropics_sdk_lists_all_pages(claude: anthropic.Anthropic, limit: int) -> None:
    models = list(claude.models.list(limit=limit))
    assert [model.id for model in models] == ROUTES
    for model in models:
        ModelInfo.model_validate(model.model_dump(), strict=True)
        assert (model.type, model.display_name) == ("model", model.id)


def test_pages_go_backwards_too(claude: anthropic.Anthropic) -> None:
    page = claude.models.list(limit=2, before_id="stalled")
    assert [model.id for model in page.data] == ROUTES[1:3]
    assert (page.has_more, page.first_id, page.last_id) == (True, "mute", "second-chance")
    page = claude.models.list(limit=2, before_id="mute")
    assert ([model.id for model in page.data], page.has_more) == (["hello"], False)
    page = claude.models.list(after_id="stalled")
    assert (page.data, page.first_id, page.last_id, page.has_more) == ([], None, None, False)


def test_anthropics_sdk_reads_one_model(claude: anthropic.Anthropic) -> None:
    assert claude.models.retrieve("hello").id == "hello"
    with pytest.raises(anthropic.NotFoundError) as raised:
        claude.models.retrieve("nobody")
    assert raised.value.request_id


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("after_id=nobody", "after_id"),
        ("before_id=nobody", "before_id"),
        ("after_id=hello&before_id=mute", "before_id"),
    ],
)
def test_a_page_that_is_not_there(http: httpx.Client, query: str, param: str) -> None:
    response = http.get(f"/v1/models?{query}", headers=VERSION)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith(f"{param}: ")
    assert response.headers["request-id"] == response.json()["request_id"]


def test_openais_sdk_lists_the_same(asgi_site: Site) -> None:
    with sdk_for(asgi_site) as sdk:
        assert [model.id for model in sdk.models.list()] == ROUTES
        assert sdk.models.retrieve("hello").owned_by == "up"


@pytest.mark.parametrize("headers", [{}, VERSION])
def test_an_error_is_in_the_envelope_of_the_api(asgi_site: Site, headers: Any) -> None:
    response = httpx.get(f"{asgi_site.url}/v1/models", headers=headers, timeout=60, trust_env=False)
    body = response.json()
    assert response.status_code == 401
    assert body["error"]["type"] == "authentication_error"
    assert ("code" in body["error"]) is not bool(headers)
    assert body.get("type") == ("error" if headers else None)
