"""How a provider's key, or a token made from it, gets on a request. Token services are real servers
on loopback."""

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

from native_api.catalog.providers import build_provider
from native_api.exceptions import ProviderUnusable, UpstreamError, UpstreamTimeout
from native_api.models import Provider as ProviderRow
from native_api.types import Provider, Secret, UpstreamRequest
from native_api.upstream.auth import access_tokens, azure, methods
from tests.scripted_provider import Gate, Upstream, running_upstream, stalls
from tests.servers import until
from tests.upstream.keys import loopback_certificate, private_pem, public_pem, service_account

X = frozenset({"x"})
"""The host of these tests' providers, to which the settings let the machine's identity go."""


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
        await exchange.json(
            {"access_token": f"token-{number}", "expires_in": lives, "token_type": "Bearer"}
        )

    return script


def vertex(server: Upstream, **options: Any) -> Provider:
    return Provider(
        "vertex",
        "gemini",
        "https://x",
        Secret(service_account(f"{server.url}/token")),
        "google",
        options=options,
    )


async def authorization(provider: Provider) -> str:
    return (await methods.authorize(UpstreamRequest("https://x", {}), "POST", b"{}", provider)).get(
        "authorization", ""
    )


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
    sent = asyncio.run(methods.authorize(request, "POST", b"", provider))
    assert sent == {"anthropic-version": "1", "x-team": "a", **header}


@pytest.mark.parametrize("auth", sorted(methods.KEY_METHODS))
def test_no_key_is_no_header(auth: str) -> None:
    provider = Provider("p", "openai", "https://x", auth=auth)
    assert (
        asyncio.run(methods.authorize(UpstreamRequest("https://x", {}), "POST", b"", provider))
        == {}
    )


# --- Google --------------------------------------------------------------------------------------------------


def test_a_service_account_signs_for_its_token(google: Upstream) -> None:
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


def test_what_netrc_holds_is_not_sent_to_a_token_service(
    google: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    google.script("", issues(google, lives=int(access_tokens.RENEW_BEFORE_SECONDS) - 20))
    assert ask(vertex(google)) == "Bearer token-1"
    google.script("", issues(google, gate=gate))
    assert ask(vertex(google)) == "Bearer token-1"
    until(lambda: len(google.requests) == 2, "the renewal")
    assert ask(vertex(google)) == "Bearer token-1"
    gate.open()
    assert until(lambda: ask(vertex(google)) == "Bearer token-2", "the new token")
    assert len(google.requests) == 2


def test_a_token_service_that_is_away_harms_nobody_while_the_token_lives(google: Upstream) -> None:
    google.script("", issues(google, lives=int(access_tokens.RENEW_BEFORE_SECONDS) - 20))
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


def test_a_refusal_is_the_providers_fault_and_is_not_asked_for_again_at_once(
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


def test_a_token_service_that_repeats_secrets_gets_them_into_no_error_and_no_log(
    google: Upstream, caplog: Any
) -> None:
    line = private_pem().splitlines()[3]
    google.script("", refuses(f"what is {line}?"))
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamError) as caught:
        ask(vertex(google))
    assert "RefreshError" in caplog.text
    assert line not in caplog.text + str(caught.value) + repr(caught.value.__context__)


def test_a_token_service_that_is_silent_is_a_timeout_and_is_asked_anew(
    google: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "FETCH_TIMEOUT_SECONDS", 0.3)
    google.script("", stalls)
    with pytest.raises(UpstreamTimeout):
        ask(vertex(google))
    assert all(
        thread.daemon for thread in threading.enumerate() if thread.name == "native-api-blocking"
    ), "the process could not end"
    google.script("", issues(google))
    assert ask(vertex(google)) == "Bearer token-2"


def test_credentials_are_not_kept_for_ever(google: Upstream) -> None:
    kept = access_tokens.CredentialCache()
    first = kept.get_or_make(
        "first",
        lambda: access_tokens.Credential(
            "x", lambda: access_tokens.Token(Secret("t"), time.time())
        ),
    )
    for number in range(access_tokens.MAX_CREDENTIALS):
        kept.get_or_make(
            number,
            lambda: access_tokens.Credential(
                "x", lambda: access_tokens.Token(Secret("t"), time.time())
            ),
        )
    assert len(kept._credentials) == access_tokens.MAX_CREDENTIALS
    assert (
        kept.get_or_make(
            "first",
            lambda: access_tokens.Credential(
                "x", lambda: access_tokens.Token(Secret("t"), time.time())
            ),
        )
        is not first
    )


# --- Microsoft -----------------------------------------------------------------------------------------------


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


def test_a_clients_secret_buys_an_entra_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
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


# --- the machine's identity ------------------------------------------------------------------------------------

VENDORS = [
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ("aws", "https://bedrock-runtime.us-east-1.api.aws"),
    ("aws", "https://vpce-0a1b-2c3d.bedrock-runtime.eu-west-1.vpce.amazonaws.com"),
    ("google", "https://aiplatform.googleapis.com/v1"),
    ("google", "https://europe-west4-aiplatform.googleapis.com/v1"),
    ("google", "https://aiplatform.eu.rep.googleapis.com/v1"),
    ("google", "https://us-central1-aiplatform-mine.p.googleapis.com/v1"),
    ("google", "https://generativelanguage.googleapis.com/v1beta"),
    ("azure", "https://mine.openai.azure.com/openai/v1"),
    ("azure", "https://mine.privatelink.openai.azure.com/openai/v1"),
    ("azure", "https://mine.cognitiveservices.azure.com/openai/v1"),
    ("azure", "https://mine.services.ai.azure.com/models"),
    ("azure", "https://mine.openai.azure.us/openai/v1"),
    ("azure", "https://mine.openai.azure.cn/openai/v1"),
]
OTHERS = [
    ("aws", "https://evil.example"),
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example"),
    ("aws", "https://bedrock-x.s3.amazonaws.com"),
    ("aws", "https://bedrock.s3-us-west-2.amazonaws.com"),
    ("aws", "https://abc.execute-api.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-lb-1.us-east-1.elb.amazonaws.com"),
    ("aws", "https://ec2-1-2-3-4.compute-1.amazonaws.com"),
    ("aws", "https://vpce-1-2.vpce-svc-3.us-east-1.vpce.amazonaws.com"),
    ("aws", "http://bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com@evil.example"),
    ("aws", "https://evil.example/bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://evil.example\\.bedrock-runtime.us-east-1.amazonaws.com"),
    ("google", "https://aiplatform.googleapis.com.evil.example/v1"),
    ("google", "https://evilgoogleapis.com/v1"),
    ("google", "https://storage.googleapis.com/evil"),
    ("google", "http://aiplatform.googleapis.com/v1"),
    ("google", "https://aiplatform.googleapis.com:443@evil.example/v1"),
    ("azure", "https://evil.azure-api.net/openai/v1"),
    ("azure", "https://evil.azurewebsites.net"),
    ("azure", "https://evil.westeurope.inference.ml.azure.com"),
    ("azure", "https://openai.azure.com.evil.example"),
    ("azure", "http://mine.openai.azure.com/openai/v1"),
    ("azure", "https://evil.example/openai.azure.com"),
]


def definition(auth: str, url: str, **more: Any) -> dict[str, Any]:
    return {
        "DIALECT": "openai",
        "BASE_URL": url,
        "AUTH": auth,
        **more,
        "OPTIONS": {"region": "us-east-1", **more.get("OPTIONS", {})},
    }


@pytest.mark.parametrize(("auth", "url"), VENDORS)
def test_the_machines_identity_may_go_to_hosts_of_the_vendor(auth: str, url: str) -> None:
    assert methods.may_send_identity(build_provider("p", definition(auth, url)), url)


@pytest.mark.parametrize(("auth", "url"), OTHERS)
def test_the_machines_identity_goes_nowhere_else(
    auth: str, url: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Found when the provider is read, and, if an address comes about in another way, before
    anything is sent or fetched."""
    with pytest.raises(
        ValueError,
        match=r"no API_KEY, and the machine's identity is not sent|in the base URL is a secret",
    ):
        build_provider("p", definition(auth, url))
    asked: list[Any] = []

    async def authorizer(*arguments: Any) -> dict[str, str]:
        asked.append(arguments)
        return {"authorization": "Bearer of-the-machine"}

    monkeypatch.setitem(methods.AUTHORIZERS, auth, authorizer)
    provider = Provider("p", "openai", dict(VENDORS)[auth], auth=auth)
    with pytest.raises(ProviderUnusable) as caught:
        asyncio.run(methods.authorize(UpstreamRequest(url, {}), "POST", b"", provider))
    assert not asked
    assert "evil" not in caught.value.message


@pytest.mark.parametrize("auth", methods.VENDOR_HOSTS)
def test_the_settings_may_name_other_hosts_for_it_and_rows_may_not(auth: str) -> None:
    url = "http://proxy.internal/v1"
    named = build_provider(
        "p", definition(auth, url, IDENTITY_HOSTS=["proxy.internal"], OPTIONS={"scope": "s"})
    )
    assert methods.may_send_identity(named, url)
    assert "IDENTITY_HOSTS" not in ProviderRow().definition()
    with pytest.raises(ValueError, match="IDENTITY_HOSTS must be a list of hosts"):
        build_provider("p", definition(auth, url, IDENTITY_HOSTS="proxy.internal"))


@pytest.mark.parametrize("option", ["scope", "authority"])
@pytest.mark.parametrize("auth", ["google", "azure"])
def test_what_the_identity_is_good_for_is_no_choice_of_the_provider(auth: str, option: str) -> None:
    with pytest.raises(ValueError, match=rf"OPTIONS\['{option}'\] needs an API_KEY"):
        build_provider(
            "p",
            definition(
                auth, dict(VENDORS)[auth], OPTIONS={option: "https://graph.microsoft.com/.default"}
            ),
        )


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("mine.openai.azure.com", "https://cognitiveservices.azure.com/.default"),
        ("mine.openai.azure.us", "https://cognitiveservices.azure.us/.default"),
        ("mine.openai.azure.cn", "https://cognitiveservices.azure.cn/.default"),
        ("proxy.internal", "https://cognitiveservices.azure.com/.default"),
    ],
)
def test_each_of_microsofts_clouds_has_its_scope(host: str, scope: str) -> None:
    assert (
        azure.scope_for(Provider("p", "openai", f"https://{host}/openai/v1", auth="azure")) == scope
    )


# --- what is not installed -----------------------------------------------------------------------------------


def test_a_missing_extra_is_said_when_a_call_needs_it(
    google: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.EXTRAS, "google", methods.Extra("google", "google.nowhere"))
    with pytest.raises(UpstreamError, match=r"pip install 'django-native-api\[google\]'"):
        ask(vertex(google))
