"""How a provider's key is sent, and where the machine's identity may go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from native_api.catalog.providers import build_provider
from native_api.exceptions import ProviderUnusable, UpstreamError
from native_api.models import Provider as ProviderRow
from native_api.types import Provider, Secret, UpstreamRequest
from native_api.upstream.auth import azure, methods
from tests.scripted_provider import Upstream
from tests.upstream.token_services import (
    OTHERS,
    VENDORS,
    ask,
    definition,
    vertex,
)


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
def test_a_key_is_sent_as_the_vendor_expects_it(auth: str, header: dict[str, str]) -> None:
    request = UpstreamRequest("https://x", {}, {"anthropic-version": "1"})
    provider = Provider("p", "openai", "https://x", Secret("k"), auth, {"x-team": "a"})
    sent = asyncio.run(methods.authorize(request, "POST", b"", provider))
    assert sent == {"anthropic-version": "1", "x-team": "a", **header}


@pytest.mark.parametrize("auth", sorted(methods.KEY_METHODS))
def test_without_a_key_no_header_is_sent(auth: str) -> None:
    provider = Provider("p", "openai", "https://x", auth=auth)
    assert (
        asyncio.run(methods.authorize(UpstreamRequest("https://x", {}), "POST", b"", provider))
        == {}
    )


@pytest.mark.parametrize(("auth", "url"), VENDORS)
def test_the_machines_identity_may_be_sent_to_the_vendors_hosts(auth: str, url: str) -> None:
    assert methods.may_send_identity(build_provider("p", definition(auth, url)), url)


@pytest.mark.parametrize(("auth", "url"), OTHERS)
def test_the_machines_identity_is_sent_nowhere_else(
    auth: str, url: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Found when the provider is read, and, if an address comes about in another way, before
    anything is sent or fetched."""
    with pytest.raises(
        ValueError,
        match=r"no API_KEY, and the machine's identity is not sent|in the base URL is a secret",
    ):
        build_provider("p", definition(auth, url))
    calls: list[Any] = []

    async def authorizer(*arguments: Any) -> dict[str, str]:
        calls.append(arguments)
        return {"authorization": "Bearer of-the-machine"}

    monkeypatch.setitem(methods.AUTHORIZERS.built_in, auth, authorizer)
    provider = Provider("p", "openai", dict(VENDORS)[auth], auth=auth)
    with pytest.raises(ProviderUnusable) as caught:
        asyncio.run(methods.authorize(UpstreamRequest(url, {}), "POST", b"", provider))
    assert not calls
    assert "evil" not in caught.value.message


@pytest.mark.parametrize("auth", methods.VENDOR_HOSTS)
def test_settings_may_name_other_identity_hosts_and_rows_may_not(auth: str) -> None:
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
def test_a_provider_cannot_choose_the_scope_of_the_machines_identity(
    auth: str, option: str
) -> None:
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


def test_a_call_that_needs_a_missing_extra_says_so(
    google: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.EXTRAS, "google", methods.Extra("google", "google.nowhere"))
    with pytest.raises(UpstreamError, match=r"pip install 'django-native-api\[google\]'"):
        ask(vertex(google))
