"""Access tokens of Google and Microsoft, from real servers on loopback."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from google.auth import jwt

from native_api.exceptions import UpstreamError, UpstreamTimeout
from native_api.types import Provider, Secret
from native_api.upstream.auth import access_tokens
from tests.scripted_provider import Upstream, running_upstream, stalls
from tests.upstream.keys import loopback_certificate, private_pem, public_pem, service_account
from tests.upstream.token_services import (
    X,
    ask,
    authorization,
    issues,
    refuses,
    vertex,
)
from tests.waiting import auntil, until


def test_a_service_account_signs_a_request_for_its_token(google: Upstream) -> None:
    assert ask(vertex(google)) == "Bearer token-1"
    [received] = google.requests
    form = parse_qs(received.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(
        form["assertion"][0], certs=public_pem(), audience="https://oauth2.googleapis.com/token"
    )
    assert claims["iss"] == "gateway@a-project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_the_machines_own_credentials_are_found(
    google: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(service_account(f"{google.url}/token"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    provider = Provider(
        "vertex",
        "gemini",
        "https://x",
        auth="google",
        options={"scope": str(tmp_path)},
        identity_hosts=X,
    )
    assert ask(provider) == "Bearer token-1"


def test_netrc_is_not_sent_to_a_token_service(
    google: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password hidden")
    monkeypatch.setenv("NETRC", str(path))
    ask(vertex(google))
    assert "authorization" not in google.requests[0].headers


def test_a_token_is_cached(google: Upstream) -> None:
    assert [ask(vertex(google)), ask(vertex(google))] == ["Bearer token-1"] * 2
    assert len(google.requests) == 1


def test_other_credentials_have_other_tokens(google: Upstream) -> None:
    assert ask(vertex(google)) != ask(vertex(google, scope="https://www.googleapis.com/auth/other"))


def test_one_fetch_serves_all_waiters_on_all_loops(google: Upstream) -> None:
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


def test_a_cancelled_waiter_does_not_end_the_fetch(google: Upstream) -> None:
    gate = google.gate()
    google.script("", issues(google, gate=gate))

    async def two() -> str:
        leaving, staying = (asyncio.ensure_future(authorization(vertex(google))) for _ in range(2))
        await auntil(lambda: google.requests, "the fetch")
        leaving.cancel()
        gate.open()
        return await staying

    assert asyncio.run(two()) == "Bearer token-1"


def test_a_token_near_its_end_is_renewed_while_it_is_used(google: Upstream) -> None:
    gate = google.gate()
    google.script("", issues(google, lives=int(access_tokens.RENEW_BEFORE_SECONDS) - 20))
    assert ask(vertex(google)) == "Bearer token-1"
    google.script("", issues(google, gate=gate))
    assert ask(vertex(google)) == "Bearer token-1"
    until(lambda: len(google.requests) == 2, "the renewal")
    assert ask(vertex(google)) == "Bearer token-1"
    gate.open()
    assert until(lambda: ask(vertex(google)) == "Bearer token-2", "the new token")
    assert len(google.requests) == 2


def test_an_outage_of_the_token_service_does_no_harm_while_the_token_is_valid(
    google: Upstream,
) -> None:
    google.script("", issues(google, lives=int(access_tokens.RENEW_BEFORE_SECONDS) - 20))
    ask(vertex(google))
    google.script("", refuses("down", 401))
    assert ask(vertex(google)) == "Bearer token-1"
    until(lambda: len(google.requests) == 2, "the renewal")
    assert ask(vertex(google)) == "Bearer token-1"


def test_an_expiring_token_is_not_used(google: Upstream) -> None:
    google.script("", issues(google, lives=5))
    assert [ask(vertex(google)), ask(vertex(google))] == ["Bearer token-1", "Bearer token-2"]


def test_a_refused_token_is_a_provider_fault_and_not_requested_again_at_once(
    google: Upstream, caplog: Any
) -> None:
    google.script("", refuses("Invalid JWT Signature."))
    with caplog.at_level(logging.WARNING, "native_api"):
        for _ in range(5):
            with pytest.raises(UpstreamError) as caught:
                ask(vertex(google))
            assert caught.value.status == 502
            assert "credentials" in caught.value.message
    assert len(google.requests) == 1
    assert "Invalid JWT Signature." in caplog.text


def test_secrets_that_a_token_service_repeats_are_in_no_error_and_no_log(
    google: Upstream, caplog: Any
) -> None:
    line = private_pem().splitlines()[3]
    google.script("", refuses(f"what is {line}?"))
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamError) as caught:
        ask(vertex(google))
    assert "RefreshError" in caplog.text
    assert line not in caplog.text + str(caught.value) + repr(caught.value.__context__)


def test_a_token_service_that_does_not_answer_is_a_timeout_and_asked_again(
    google: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "FETCH_TIMEOUT_SECONDS", 0.3)
    google.script("", stalls)
    with pytest.raises(UpstreamTimeout):
        ask(vertex(google))
    assert all(
        thread.daemon
        for thread in threading.enumerate()
        if thread.name.startswith("native-api-foreign")
    ), "the process could not end"
    monkeypatch.setattr(access_tokens, "FETCH_TIMEOUT_SECONDS", 60)
    google.script("", issues(google))
    assert ask(vertex(google)).startswith("Bearer token-")


def test_the_number_of_cached_credentials_is_bounded(google: Upstream) -> None:
    cache = access_tokens.CredentialCache()
    first = cache.get_or_make(
        "first",
        lambda: access_tokens.Credential(
            "x", lambda: access_tokens.Token(Secret("t"), time.time())
        ),
    )
    for number in range(access_tokens.MAX_CREDENTIALS):
        cache.get_or_make(
            number,
            lambda: access_tokens.Credential(
                "x", lambda: access_tokens.Token(Secret("t"), time.time())
            ),
        )
    assert len(cache) == access_tokens.MAX_CREDENTIALS
    assert (
        cache.get_or_make(
            "first",
            lambda: access_tokens.Credential(
                "x", lambda: access_tokens.Token(Secret("t"), time.time())
            ),
        )
        is not first
    )


def test_the_identity_of_an_azure_app_service(
    google: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{google.url}/msi")
    monkeypatch.setenv("IDENTITY_HEADER", "the-machine")
    answer = {
        "access_token": "of-the-machine",
        "expires_on": str(int(time.time()) + 3600),
        "resource": "x",
        "token_type": "Bearer",
    }

    async def script(exchange: Any) -> None:
        assert exchange.received.headers["x-identity-header"] == "the-machine"
        await exchange.json(answer)

    google.script("", script)
    provider = Provider(
        "azure",
        "openai",
        "https://x",
        auth="azure",
        options={"client_id": google.url},
        identity_hosts=X,
    )
    assert ask(provider) == "Bearer of-the-machine"
    assert "resource=https://cognitiveservices.azure.com&" in google.requests[0].path


def test_a_client_secret_gets_an_entra_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    context, certificate_path = loopback_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate_path))
    monkeypatch.setenv("NO_PROXY", "*")
    with running_upstream(context) as entra:
        host = entra.url.removesuffix("/v1")

        async def script(exchange: Any) -> None:
            if "openid-configuration" in exchange.received.path:
                names = ("token_endpoint", "authorization_endpoint", "issuer")
                await exchange.json({name: f"{host}/t/{name}" for name in names})
            else:
                await exchange.json(
                    {"access_token": "from-entra", "expires_in": 3600, "token_type": "Bearer"}
                )

        entra.script("", script)
        options = {"tenant_id": "t", "client_id": "c", "authority": host}
        provider = Provider(
            "azure", "openai", "https://x", Secret("a-clients-secret"), "azure", options=options
        )
        assert ask(provider) == "Bearer from-entra"
        form = parse_qs(entra.requests[-1].body.decode())
    assert form["client_secret"] == ["a-clients-secret"]
    assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]
    assert "a-clients-secret" not in caplog.text
