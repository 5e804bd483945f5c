"""Ways of authentication: how a provider's key, or a token made from it, gets on a request.
`Provider.auth` names one.

A way is one line of `AUTHORIZERS`, a function of the request that is about to be sent, its method,
its body and the provider, which gives the headers to add.

Without a key, `aws`, `google` and `azure` send the identity of the machine. Whoever may add a
provider would be given it, so it goes to the vendor's own hosts only, or to those that the settings
name (`IDENTITY_HOSTS`), and its scope is not the provider's to choose.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Final, NamedTuple

import httpx

from native_api.exceptions import ConfigurationError, ProviderUnusable, UpstreamError
from native_api.logs import get_logger
from native_api.types import Provider, Secret, UpstreamRequest
from native_api.upstream.auth import aws, google_azure
from native_api.upstream.auth.access_tokens import Credential, Credentials, Token
from native_api.upstream.redaction import address_shown, remember

logger = get_logger("native_api.upstream")

Authorizer = Callable[[UpstreamRequest, str, bytes, Provider], Awaitable[Mapping[str, str]]]


async def authorize(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> dict[str, str]:
    """All headers to send: the request's, the provider's, and the credentials. Raises
    ProviderFault, ProviderUnusable."""
    if provider.unusable:
        raise ProviderUnusable(provider.unusable)
    headers = {**request.headers, **provider.headers}
    if provider.auth not in IDENTITIES:
        return {**headers, **await AUTHORIZERS[provider.auth](request, method, content, provider)}
    if not provider.api_key and not may_have_identity(provider, request.url):
        reason = f"the machine's identity is not sent to {address_shown(request.url)}, which is not a host of the vendor's"
        logger.error("The provider %s is not called: %s.", provider.name, reason)
        raise ProviderUnusable(reason)
    credentials = await AUTHORIZERS[provider.auth](request, method, content, provider)
    remember(provider, credentials)
    return {**headers, **credentials}


async def _nothing(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> Mapping[str, str]:
    return {}


async def _bearer(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> Mapping[str, str]:
    return {"authorization": Secret(f"Bearer {provider.api_key}")} if provider.api_key else {}


def _header(name: str) -> Authorizer:
    async def key(
        request: UpstreamRequest, method: str, content: bytes, provider: Provider
    ) -> Mapping[str, str]:
        return {name: provider.api_key} if provider.api_key else {}

    return key


def _token(
    vendor: str, fetch: Callable[[Provider], Token], scope: Callable[[Provider], str], *options: str
) -> Authorizer:
    """A token of `vendor`, who tells callers apart by the key, the scope and these OPTIONS."""
    credentials = Credentials()

    async def bearer(
        request: UpstreamRequest, method: str, content: bytes, provider: Provider
    ) -> Mapping[str, str]:
        if is_missing(provider.auth):
            raise UpstreamError(f"This provider cannot be called: {needs(provider.auth)}.")
        identity = (
            provider.api_key,
            scope(provider),
            *(str(provider.options.get(name) or "") for name in options),
        )
        credential = credentials.get(identity, lambda: Credential(vendor, lambda: fetch(provider)))
        return {"authorization": Secret(f"Bearer {await credential.token()}")}

    return bearer


AUTHORIZERS: Final[dict[str, Authorizer]] = {
    "none": _nothing,
    "bearer": _bearer,
    "x-api-key": _header("x-api-key"),
    "api-key": _header("api-key"),
    "x-goog-api-key": _header("x-goog-api-key"),
    "aws": aws.authorization,
    "google": _token("Google", google_azure.google_token, google_azure.google_scope),
    "azure": _token(
        "Microsoft Entra",
        google_azure.azure_token,
        google_azure.azure_scope,
        "authority",
        "tenant_id",
        "client_id",
    ),
}

IDENTITIES: Final = {
    "aws": aws.HOSTS,
    "google": google_azure.GOOGLE_HOSTS,
    "azure": google_azure.AZURE_HOSTS,
}
"""Ways that send the machine's identity if there is no key -> the vendor's hosts."""

KEYED: Final = frozenset({"bearer", "x-api-key", "api-key", "x-goog-api-key"})
"""Ways that cannot work without a key, which goes as it is."""


def may_have_identity(provider: Provider, url: str) -> bool:
    """Whether the machine's identity may be sent to this address."""
    scheme, host = _read(url)
    return host in provider.identity_hosts or (
        scheme == "https" and IDENTITIES[provider.auth].fullmatch(host) is not None
    )


@lru_cache(maxsize=1024)
def _read(url: str) -> tuple[str, str]:
    """Scheme and host, as the transport reads them; both empty if it does not."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "", ""
    return parsed.scheme, parsed.host


class Extra(NamedTuple):
    """What `pip install 'django-native-api[name]'` brings: `module` is imported when a request
    needs it."""

    name: str
    module: str


EXTRAS: Final = {
    "google": Extra("google", "google.auth"),
    "azure": Extra("azure", "azure.identity"),
}
"""Way of authentication -> the extra that it needs."""


def is_missing(auth: str) -> bool:
    """Whether a way needs an extra that is not installed."""
    extra = EXTRAS.get(auth)
    try:
        return extra is not None and find_spec(extra.module) is None
    except ModuleNotFoundError:
        return True


def needs(auth: str) -> str:
    """In words, what has to be installed for a way."""
    return f"AUTH {auth!r} needs pip install 'django-native-api[{EXTRAS[auth].name}]'"


def check(provider: Provider) -> None:
    """Raises ConfigurationError where the provider's credentials cannot work, never with
    a secret in it."""
    key, auth = provider.api_key, provider.auth
    if auth not in AUTHORIZERS:
        raise ConfigurationError(f"unknown AUTH {auth!r}", f"Known: {', '.join(AUTHORIZERS)}.")
    if auth in (*KEYED, "aws") and not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            "API_KEY has characters that no header can carry",
            "Look for line breaks and for letters that only look alike.",
        )
    if auth == "aws":
        aws.check(key, provider.options)
    if auth in IDENTITIES and not key:
        _check_identity(provider)
    if auth == "google" and key:
        _check_google(provider)
    if (
        auth == "azure"
        and key
        and not (provider.options.get("tenant_id") and provider.options.get("client_id"))
    ):
        raise ConfigurationError(
            "a client's secret, but not whose",
            "Give OPTIONS tenant_id and client_id, or no API_KEY for the machine's own identity.",
        )


def _check_identity(provider: Provider) -> None:
    if not may_have_identity(provider, provider.base_url):
        raise ConfigurationError(
            f"no API_KEY, and the machine's identity is not sent to {address_shown(provider.base_url)}",
            "Give an API_KEY, or an address of "
            "the vendor's, or define the provider in NATIVE_API['PROVIDERS'] with this host among its IDENTITY_HOSTS.",
        )
    chosen = next((name for name in ("scope", "authority") if provider.options.get(name)), "")
    if chosen and not provider.identity_hosts:
        raise ConfigurationError(
            f"OPTIONS[{chosen!r}] needs an API_KEY",
            "For the machine's identity it is not a choice. Remove it.",
        )


def _check_google(provider: Provider) -> None:
    try:
        google_azure.service_account(provider.api_key)
    except ValueError as problem:
        hint = "Give the JSON of a service account's key, or no API_KEY for the Application Default Credentials."
        raise ConfigurationError(str(problem), hint) from None
