"""Over HTTP, on each wire: whatever way an owned member comes in, the provider's body has in it
what the gateway put there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.gateway_owned import normalize_name
from tests.dialects.test_gateway_owned import USER_BLOCKS, nest
from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream, says
from tests.servers import Site

MODEL = "gemini-2.5-pro"
"""A name that every wire takes."""

VALUES = [None, 100_000]


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    provider = {
        "BASE_URL": upstream.url,
        "API_KEY": "sk-owned",
        "AUTH": "bearer",
        "OPTIONS": {"project": "p"},
    }
    settings = native_api(
        upstream,
        PROVIDERS={wire.replace("_", "-"): {"DIALECT": wire, **provider} for wire in DIALECTS},
        MODELS={},
    )
    upstream.script(
        MODEL, says({"error": {"message": "not today"}}, 400)
    )  # a status that speaks of the request alone
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=site.url, headers=site.headers, timeout=60, trust_env=False
    ) as client:
        yield client


def sent(
    http: httpx.Client, upstream: Upstream, wire: str, **more: Any
) -> tuple[Any, dict[str, Any]]:
    """The body that the provider got, None where it was not asked, and the error."""
    before = len(upstream.requests)
    chat = {
        "model": f"{wire.replace('_', '-')}/{MODEL}",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 7,
        **more,
    }
    answer = http.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return (upstream.requests[-1].body if len(upstream.requests) > before else None), error


@pytest.mark.parametrize("wire", DIALECTS)
def test_an_owned_member_does_not_come_in_by_options(
    http: httpx.Client, upstream: Upstream, wire: str
) -> None:
    for path in DIALECTS[wire].owned_members:
        for value in VALUES:
            body, error = sent(http, upstream, wire, provider_options={wire: nest(path, value)})
            assert (body, error["code"]) == (None, "unsupported_field"), path
            assert error["param"] == f"provider_options.{wire}.{path}".replace("[]", "[0]")


@pytest.mark.parametrize("wire", DIALECTS)
def test_an_owned_member_does_not_come_in_as_a_field_or_in_a_block(
    http: httpx.Client, upstream: Upstream, wire: str
) -> None:
    """A field of the unified request is checked and translated; one that is not known does not go
    on."""
    plain, _ = sent(http, upstream, wire)
    for path in DIALECTS[wire].owned_members:
        name = path.partition(".")[0].removesuffix("[]")
        if name in (
            "tools",
            "model",
            "fallbacks",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "service_tier",
            "stream",
            "stream_options",
        ):
            continue  # fields of the unified request
        body, _ = sent(http, upstream, wire, **nest(path, 100_000))
        assert body is None or body == plain, path
    if wire in USER_BLOCKS:
        for path in DIALECTS[wire].owned_members:
            block = {"type": "text", "text": "Hi", **nest(path, 100_000)}
            items = [{"format": wire, "block": block}]
            body, _ = sent(
                http,
                upstream,
                wire,
                messages=[{"role": "user", "content": "Hi", "provider_content": items}],
            )
            assert body is None or top(body) == top(plain), path


def top(body: Any) -> Any:
    return {
        name: value
        for name, value in body.items()
        if normalize_name(name) not in ("messages", "contents")
    }
