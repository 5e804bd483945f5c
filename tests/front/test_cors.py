"""Pages of another origin call the gateway with the settings that docs/deployment.md gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream
from tests.servers import Site

ORIGIN = "https://app.example.com"

SDK_HEADERS = {
    "openai 6.49.0": (
        "authorization, content-type, openai-beta, openai-organization, openai-project, "
        "x-stainless-arch, x-stainless-helper-method, x-stainless-lang, x-stainless-os, "
        "x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, "
        "x-stainless-runtime-version, x-stainless-timeout"
    ),
    "@anthropic-ai/sdk 1.14.0": (
        "anthropic-beta, anthropic-dangerous-direct-browser-access, anthropic-version, "
        "authorization, content-type, x-api-key, x-stainless-arch, x-stainless-helper, "
        "x-stainless-helper-method, x-stainless-lang, x-stainless-os, "
        "x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, "
        "x-stainless-runtime-version, x-stainless-timeout"
    ),
    "keys as Azure and Google name them": "api-key, content-type, x-goog-api-key",
}
"""What the SDKs' calls ask for from a browser (npm, read from their requests, 2026-11)."""

READABLE_ANYWAY = {
    *("cache-control", "content-language", "content-length", "content-type", "expires"),
    *("last-modified", "pragma"),
}
"""The response headers that the Fetch standard lets a page read."""

OF_THE_CONNECTION = {
    *("access-control-allow-origin", "access-control-expose-headers", "allow", "connection"),
    *("cross-origin-opener-policy", "date", "referrer-policy", "server", "transfer-encoding"),
    *("vary", "www-authenticate", "x-accel-buffering", "x-content-type-options"),
    *("content-encoding", "x-frame-options"),
}
"""Headers that are for browsers, proxies and servers."""

LIMITS = [
    {"SUBJECT": "everyone", "METRIC": metric, "AMOUNT": 10**9, "WINDOW": "minute"}
    for metric in ("tokens", "input_tokens", "output_tokens")
]
"""Makes the headers of tokens appear."""

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
CALLS = [CHAT, MESSAGES, "/v1/responses", "/v1/embeddings", "/v1/models"]


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def site(request: pytest.FixtureRequest, serve: Serve, upstream: Upstream) -> Iterator[Site]:
    settings = native_api(upstream, LIMITS=LIMITS)
    module = "tests.site_settings_with_cors"
    with serve(request.param, settings, DJANGO_SETTINGS_MODULE=module) as running:
        yield running


@pytest.fixture
def page(site: Site) -> Iterator[httpx.Client]:
    headers = {"origin": ORIGIN}
    with httpx.Client(base_url=site.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


@pytest.mark.parametrize("sdk", SDK_HEADERS)
def test_the_sdks_may_send_what_they_send(page: httpx.Client, sdk: str) -> None:
    for path in CALLS:
        preflight = page.options(
            path,
            headers={
                "access-control-request-method": "GET" if path == "/v1/models" else "POST",
                "access-control-request-headers": SDK_HEADERS[sdk],
            },
        )
        assert preflight.status_code == 200, preflight.text
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert {"GET", "POST"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
        assert names(SDK_HEADERS[sdk]) <= names(preflight.headers["access-control-allow-headers"])


def test_another_origin_may_not_call(page: httpx.Client) -> None:
    preflight = page.options(
        CALLS[0],
        headers={"origin": "https://other.example", "access-control-request-method": "POST"},
    )
    assert "access-control-allow-origin" not in preflight.headers


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


ANSWERS = {
    "a reply": (chat("up/hello"), True, 200),
    "a stream": (chat("up/hello", stream=True), True, 200),
    "an unknown model": (chat("up/.."), True, 404),
    "a provider's failure": (chat("dead/hello"), True, 502),
    "no key": (chat("up/hello"), False, 401),
}
RATES = {
    CHAT: {"x-ratelimit-remaining-tokens", "x-ratelimit-reset-input-tokens"},
    MESSAGES: {"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"},
}


@pytest.mark.parametrize("path", RATES)
@pytest.mark.parametrize("case", ANSWERS)
def test_a_page_can_read_every_answer_and_its_headers(
    page: httpx.Client, site: Site, case: str, path: str
) -> None:
    body, has_key, status = ANSWERS[case]
    body = {"max_tokens": 100, **body}
    answer = page.post(path, json=body, headers=site.headers if has_key else {})
    assert answer.status_code == status, answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = names(answer.headers["access-control-expose-headers"])
    assert set(answer.headers) - exposed <= READABLE_ANYWAY | OF_THE_CONNECTION
    assert "x-request-id" in answer.headers
    if status == 200:
        assert RATES[path] | {"x-native-model"} <= set(answer.headers)
