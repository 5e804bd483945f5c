"""Requests that are refused before any endpoint sees them are answered in the envelope of the API
that they are meant for, on both ways to the views."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.test import RequestFactory, override_settings

from native_api.asgi import GatewayASGI
from native_api.views import bad_request, not_found, server_error
from tests.asgi_client import Answer, ask

MESSAGES, RESPONSES = "/native/v1/messages", "/native/v1/responses"
JSON = {"content-type": "application/json"}
VERSION = {"anthropic-version": "2023-06-01"}
NATIVE_API: dict[str, Any] = {
    "PROVIDERS": {"echo": {}},
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "MAX_BODY_BYTES": 2000,
    "TIMEOUTS": {"BODY": 0.05},
}
INVALID = {**NATIVE_API, "KEEPALIVE_SECONDS": 0}


@pytest.fixture(params=[True, False], ids=["short", "django"])
def application(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[GatewayASGI]:
    with override_settings(ALLOWED_HOSTS=["good.example"], NATIVE_API=NATIVE_API):
        yield GatewayASGI(get_asgi_application(), short_way=request.param)


def send(application: GatewayASGI, path: str, body: bytes = b"{}", **more: Any) -> Answer:
    headers = {**JSON, **more.pop("headers", {})}
    return asyncio.run(ask(application, "POST", path, headers, body, **more))


def check(answer: Answer, status: int, kind: str, is_anthropic: bool) -> None:
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (status, kind)
    assert ("code" in body["error"]) is not is_anthropic
    assert body.get("type") == ("error" if is_anthropic else None)
    if "x-request-id" in dict(answer.headers):
        assert ("request-id" in dict(answer.headers)) is is_anthropic
    assert dict(answer.headers)["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "kind"), [(MESSAGES, "request_too_large"), (RESPONSES, "invalid_request_error")]
)
def test_a_body_that_is_too_large(application: GatewayASGI, path: str, kind: str) -> None:
    check(send(application, path, b" " * 2001), 413, kind, path == MESSAGES)


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES, f"{MESSAGES}/count_tokens"])
def test_a_body_that_does_not_arrive(application: GatewayASGI, path: str) -> None:
    answer = send(application, path, b"{", is_slow=True)
    check(answer, 408, "invalid_request_error", path != RESPONSES)


@pytest.mark.parametrize("path", [f"{MESSAGES}?%FF", f"{RESPONSES}?%FF"])
def test_a_query_that_is_not_utf_8(application: GatewayASGI, path: str) -> None:
    check(send(application, path), 400, "invalid_request_error", path.startswith(MESSAGES))


@pytest.mark.parametrize(
    ("path", "headers"),
    [(f"{MESSAGES}/batches", {}), ("/native/v1/files", VERSION), ("/native/v1/files", {})],
)
def test_a_url_without_an_endpoint(application: GatewayASGI, path: str, headers: Any) -> None:
    answer = send(application, path, headers=headers)
    check(answer, 404, "not_found_error", bool(headers) or path.startswith(MESSAGES))


@pytest.mark.parametrize(
    ("path", "kind"), [(MESSAGES, "api_error"), (RESPONSES, "service_unavailable")]
)
def test_a_site_that_is_misconfigured(application: GatewayASGI, path: str, kind: str) -> None:
    with override_settings(NATIVE_API=INVALID):
        check(send(application, path), 503, kind, path == MESSAGES)


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
def test_a_body_that_is_nested_too_deeply(application: GatewayASGI, path: str) -> None:
    body = b'{"a":' * 200 + b"1" + b"}" * 200
    check(send(application, path, body), 400, "invalid_request_error", path == MESSAGES)


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
def test_the_handlers_of_a_project(path: str) -> None:
    request = RequestFactory().post(path)
    for response in (not_found(request), bad_request(request, Exception()), server_error(request)):
        assert ("type" in json.loads(response.content)) is (path == MESSAGES)


@pytest.mark.parametrize("path", ["/native/", "/native/v1", "/native/v1/"])
def test_the_prefix_answers_head(application: GatewayASGI, path: str) -> None:
    answer = asyncio.run(ask(application, "HEAD", path, {}))
    assert (answer.status, answer.body) == (200, b"")
    answer = asyncio.run(ask(application, "GET", path, {}))
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (404, "not_found")
