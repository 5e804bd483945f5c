"""How a provider's key, or a token made from it, gets on a request. Token services are real servers on loopback."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from google.auth import jwt

from native_api.engine import credentials, tokens
from native_api.exceptions import UpstreamError, UpstreamTimeout
from native_api.types import Provider, Secret, UpstreamRequest
from tests.engine.keys import loopback_certificate, private_pem, public_pem, service_account
from tests.servers import until
from tests.upstream import Gate, Upstream, running_upstream, stalls


@pytest.fixture
def google() -> Iterator[Upstream]:
    """Google's token service: numbers its tokens, which live for an hour."""
    with running_upstream() as server:
        server.script("", issues(server))
        yield server


def issues(server: Upstream, lives: int = 3600, gate: Gate | None = None) -> Any:
    async def script(exchange: Any) -> None:
        number = len(server.requests)
        if gate is not None:
            await gate(exchange)
        await exchange.json({"access_token": f"token-{number}", "expires_in": lives, "token_type": "Bearer"})

    return script


def vertex(server: Upstream, **options: Any) -> Provider:
    return Provider("vertex", "gemini", "https://x", Secret(service_account(f"{server.url}/token")), "google", options=options)


async def authorization(provider: Provider) -> str:
    return (await credentials.authorize(UpstreamRequest("https://x", {}), "POST", b"{}", provider)).get("authorization", "")


def ask(provider: Provider) -> str:
    return asyncio.run(authorization(provider))


# --- keys that go as they are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("bearer", {"authorization": "Bearer k"}),
        ("x-api-key", {"x-api-key": "k"}),
        ("api-key", {"api-key": "k"}),
        ("x-goog-api-key", {"x-goog-api-key": "k"}),
        ("none", {}),
    ],
)
def test_a_key_goes_where_the_vendor_wants_it(auth: str, header: dict[str, str]) -> None:
    request = UpstreamRequest("https://x", {}, {"anthropic-version": "1"})
    provider = Provider("p", "openai", "https://x", Secret("k"), auth, {"x-team": "a"})
    sent = asyncio.run(credentials.authorize(request, "POST", b"", provider))
    assert sent == {"anthropic-version": "1", "x-team": "a", **header}


@pytest.mark.parametrize("auth", sorted(credentials.KEYED))
def test_no_key_is_no_header(auth: str) -> None:
    provider = Provider("p", "openai", "https://x", auth=auth)
    assert asyncio.run(credentials.authorize(UpstreamRequest("https://x", {}), "POST", b"", provider)) == {}


# --- Google --------------------------------------------------------------------------------------------------


def test_a_service_account_signs_for_its_token(google: Upstream) -> None:
    assert ask(vertex(google)) == "Bearer token-1"
    [received] = google.requests
    form = parse_qs(received.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(form["assertion"][0], certs=public_pem(), audience="https://oauth2.googleapis.com/token")
    assert claims["iss"] == "gateway@a-project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_the_machines_own_credentials_are_found(google: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(service_account(f"{google.url}/token"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    assert ask(Provider("vertex", "gemini", "https://x", auth="google", options={"scope": str(tmp_path)})) == "Bearer token-1"


def test_what_netrc_holds_is_not_sent_to_a_token_service(google: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password hidden")
    monkeypatch.setenv("NETRC", str(path))
    ask(vertex(google))
    assert "authorization" not in google.requests[0].headers


def test_a_token_is_kept(google: Upstream) -> None:
    assert [ask(vertex(google)), ask(vertex(google))] == ["Bearer token-1"] * 2
    assert len(google.requests) == 1


def test_callers_with_other_credentials_have_other_tokens(google: Upstream) -> None:
    assert ask(vertex(google)) != ask(vertex(google, scope="https://www.googleapis.com/auth/other"))


def test_one_fetch_serves_all_who_wait_on_any_loop(google: Upstream) -> None:
    gate = google.gate()
    google.script("", issues(google, gate=gate))

    async def many() -> set[str]:
        return set(await asyncio.gather(*(authorization(vertex(google)) for _ in range(50))))

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(asyncio.run, many()) for _ in range(3)]
        until(lambda: google.requests, "the first fetch")
        gate.open()
        assert [call.result() for call in waiting] == [{"Bearer token-1"}] * 3
    assert len(google.requests) == 1


def test_one_who_leaves_does_not_end_the_fetch_for_the_others(google: Upstream) -> None:
    gate = google.gate()
    google.script("", issues(google, gate=gate))

    async def two() -> str:
        leaving, staying = (asyncio.ensure_future(authorization(vertex(google))) for _ in range(2))
        while not google.requests:
            await asyncio.sleep(0.01)
        leaving.cancel()
        gate.open()
        return await staying

    assert asyncio.run(two()) == "Bearer token-1"


def test_a_token_near_its_end_is_renewed_while_it_is_used(google: Upstream) -> None:
    gate = google.gate()
    google.script("", issues(google, lives=int(tokens.LEEWAY) - 20))
    assert ask(vertex(google)) == "Bearer token-1"
    google.script("", issues(google, gate=gate))
    assert ask(vertex(google)) == "Bearer token-1"
    until(lambda: len(google.requests) == 2, "the renewal")
    assert ask(vertex(google)) == "Bearer token-1"
    gate.open()
    assert until(lambda: ask(vertex(google)) == "Bearer token-2", "the new token")
    assert len(google.requests) == 2


def test_a_token_service_that_is_away_harms_nobody_while_the_token_lives(google: Upstream) -> None:
    google.script("", issues(google, lives=int(tokens.LEEWAY) - 20))
    ask(vertex(google))
    google.script("", refuses("down", 401))
    assert ask(vertex(google)) == "Bearer token-1"
    until(lambda: len(google.requests) == 2, "the renewal")
    assert ask(vertex(google)) == "Bearer token-1"


def test_a_token_at_its_end_is_not_used(google: Upstream) -> None:
    google.script("", issues(google, lives=5))
    assert [ask(vertex(google)), ask(vertex(google))] == ["Bearer token-1", "Bearer token-2"]


def refuses(words: str, status: int = 400) -> Any:
    async def script(exchange: Any) -> None:
        await exchange.json({"error": "invalid_grant", "error_description": words}, status)

    return script


def test_a_refusal_is_the_providers_fault_and_is_not_asked_for_again_at_once(google: Upstream, caplog: Any) -> None:
    google.script("", refuses("Invalid JWT Signature."))
    with caplog.at_level(logging.WARNING, "native_api"):
        for _ in range(5):
            with pytest.raises(UpstreamError) as caught:
                ask(vertex(google))
            assert caught.value.status == 502
            assert "credentials" in caught.value.message
    assert len(google.requests) == 1
    assert "Invalid JWT Signature." in caplog.text


def test_a_token_service_that_repeats_secrets_gets_them_into_no_error_and_no_log(google: Upstream, caplog: Any) -> None:
    line = private_pem().splitlines()[3]
    google.script("", refuses(f"what is {line}?"))
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamError) as caught:
        ask(vertex(google))
    assert "RefreshError" in caplog.text
    assert line not in caplog.text + str(caught.value) + repr(caught.value.__context__)


def test_a_token_service_that_is_silent_is_a_timeout_and_is_asked_anew(google: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PATIENCE", 0.3)
    google.script("", stalls)
    with pytest.raises(UpstreamTimeout):
        ask(vertex(google))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "native-api-apart"), "the process could not end"
    google.script("", issues(google))
    assert ask(vertex(google)) == "Bearer token-2"


def test_credentials_are_not_kept_for_ever(google: Upstream) -> None:
    kept = tokens.Credentials()
    first = kept.get("first", lambda: tokens.Credential("x", lambda: tokens.Token(Secret("t"), time.time())))
    for number in range(tokens.MAX_KEPT):
        kept.get(number, lambda: tokens.Credential("x", lambda: tokens.Token(Secret("t"), time.time())))
    assert len(kept._kept) == tokens.MAX_KEPT
    assert kept.get("first", lambda: tokens.Credential("x", lambda: tokens.Token(Secret("t"), time.time()))) is not first


# --- Microsoft -----------------------------------------------------------------------------------------------


def test_the_identity_of_an_azure_app_service(google: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{google.url}/msi")
    monkeypatch.setenv("IDENTITY_HEADER", "the-machine")
    answer = {"access_token": "of-the-machine", "expires_on": str(int(time.time()) + 3600), "resource": "x", "token_type": "Bearer"}

    async def script(exchange: Any) -> None:
        assert exchange.received.headers["x-identity-header"] == "the-machine"
        await exchange.json(answer)

    google.script("", script)
    provider = Provider("azure", "openai", "https://x", auth="azure", options={"client_id": google.url})
    assert ask(provider) == "Bearer of-the-machine"
    assert "resource=https://cognitiveservices.azure.com&" in google.requests[0].path


def test_a_clients_secret_buys_an_entra_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    context, known = loopback_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(known))
    monkeypatch.setenv("NO_PROXY", "*")
    with running_upstream(context) as entra:
        host = entra.url.removesuffix("/v1")

        async def script(exchange: Any) -> None:
            if "openid-configuration" in exchange.received.path:
                places = ("token_endpoint", "authorization_endpoint", "issuer")
                await exchange.json({name: f"{host}/t/{name}" for name in places})
            else:
                await exchange.json({"access_token": "from-entra", "expires_in": 3600, "token_type": "Bearer"})

        entra.script("", script)
        options = {"tenant_id": "t", "client_id": "c", "authority": host}
        provider = Provider("azure", "openai", "https://x", Secret("a-clients-secret"), "azure", options=options)
        assert ask(provider) == "Bearer from-entra"
        form = parse_qs(entra.requests[-1].body.decode())
    assert form["client_secret"] == ["a-clients-secret"]
    assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]
    assert "a-clients-secret" not in caplog.text


# --- what is not installed -----------------------------------------------------------------------------------


def test_a_missing_extra_is_said_when_a_call_needs_it(google: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(credentials.EXTRAS, "google", credentials.Extra("google", "google.nowhere"))
    with pytest.raises(UpstreamError, match=r"pip install 'django-native-api\[google\]'"):
        ask(vertex(google))
