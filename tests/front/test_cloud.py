"""Azure and Vertex AI through a real server: the address, and a token bought from a token service
on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.front.conftest import Serve
from tests.scripted_provider import Upstream, completion, running_upstream, says
from tests.servers import Site
from tests.upstream.keys import service_account

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
    ]
}


@pytest.fixture(scope="module")
def clouds() -> Iterator[Upstream]:
    """Google, Microsoft, and both their token services."""
    with running_upstream() as server:
        server.script("", google_or_tokens)
        server.script("gemini-2.5-flash", google_or_tokens)
        server.script("gpt", says(completion("Hello")))
        yield server


async def google_or_tokens(exchange: Any) -> None:
    await (says(GEMINI) if "generateContent" in exchange.received.path else tokens)(exchange)


async def tokens(exchange: Any) -> None:
    if exchange.received.path.startswith("/v1/refused"):
        await exchange.json({"error": "invalid_grant", "error_description": "account gone"}, 400)
    elif exchange.received.path.startswith("/v1/msi"):
        ends_at = int(time.time()) + 3600
        await exchange.json(
            {
                "access_token": "from-entra",
                "expires_on": str(ends_at),
                "resource": "x",
                "token_type": "Bearer",
            }
        )
    else:
        await exchange.json(
            {"access_token": "from-google", "expires_in": 3600, "token_type": "Bearer"}
        )


@pytest.fixture(scope="module")
def cloud_site(clouds: Upstream, serve: Serve) -> Iterator[Site]:
    options = {"project": "my-project", "location": "europe-west4"}
    azure = {"endpoint": clouds.url, "api_version": "2024-10-21"}
    settings = {
        "PROVIDERS": {
            "vertex": {
                "BASE_URL": clouds.url,
                "API_KEY": service_account(f"{clouds.url}/token"),
                "OPTIONS": options,
            },
            "broken": {
                "PRESET": "vertex",
                "BASE_URL": clouds.url,
                "API_KEY": service_account(f"{clouds.url}/refused"),
                "OPTIONS": options,
            },
            "azure": {"PRESET": "azure-deployments", "API_KEY": "azure-key", "OPTIONS": azure},
            "entra": {
                "PRESET": "azure",
                "AUTH": "azure",
                "OPTIONS": azure,
                "IDENTITY_HOSTS": ["127.0.0.1"],
            },
            "elsewhere": {"PRESET": "azure", "AUTH": "azure", "OPTIONS": azure},
        },
    }
    machine = {"IDENTITY_ENDPOINT": f"{clouds.url}/msi", "IDENTITY_HEADER": "me"}
    with serve("uvicorn", settings, **machine) as running:
        yield running


def ask(site: Site, model: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json={**CHAT, "model": model},
        timeout=60,
        trust_env=False,
    )


@pytest.mark.parametrize(
    ("model", "path", "header"),
    [
        (
            "vertex/gemini-2.5-flash",
            "/v1/projects/my-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent",
            ("authorization", "Bearer from-google"),
        ),
        (
            "azure/gpt",
            "/v1/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            ("api-key", "azure-key"),
        ),
        ("entra/gpt", "/v1/openai/v1/chat/completions", ("authorization", "Bearer from-entra")),
    ],
)
def test_a_cloud_is_called_at_its_address_with_its_credentials(
    cloud_site: Site, clouds: Upstream, model: str, path: str, header: tuple[str, str]
) -> None:
    answer = ask(cloud_site, model)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello", answer.text
    received = clouds.requests[-1]
    assert received.path == path
    assert received.headers[header[0]] == header[1]


def test_credentials_that_buy_no_token_are_the_providers_fault_and_stay_out_of_sight(
    cloud_site: Site, clouds: Upstream
) -> None:
    answer = ask(cloud_site, "broken/gemini-2.5-flash")
    assert answer.status_code == 502
    assert answer.json()["error"]["provider"] == "broken"
    log = cloud_site.log()
    assert "account gone" in log
    key_lines = json.loads(service_account("x"))["private_key"].splitlines()
    for secret in (key_lines[2], "azure-key", "from-google", "from-entra"):
        assert secret not in answer.text + log


def test_the_machines_identity_is_not_sent_to_a_host_that_nobody_named(
    cloud_site: Site, clouds: Upstream
) -> None:
    count = len(clouds.requests)
    assert ask(cloud_site, "elsewhere/gpt").status_code == 404
    assert len(clouds.requests) == count
    assert "the machine's identity is not sent to" in cloud_site.log()
