"""Ways of authentication: how a provider's key, or a token made from it, gets on a request. `Provider.auth` names one.

A way is one line of `AUTHORIZERS`, a function of the request that is about to be sent, its method, its body and the provider,
which gives the headers to add.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import Final, NamedTuple

from native_api.engine import aws, cloud
from native_api.engine.tokens import Credential, Credentials, Token
from native_api.exceptions import UpstreamError
from native_api.types import Provider, UpstreamRequest

Authorizer = Callable[[UpstreamRequest, str, bytes, Provider], Awaitable[Mapping[str, str]]]


async def authorize(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> dict[str, str]:
    """All headers to send: the request's, the provider's, and the credentials. Raises ProviderFault."""
    headers = {**request.headers, **provider.headers}
    headers.update(await AUTHORIZERS[provider.auth](request, method, content, provider))
    return headers


async def _nothing(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> Mapping[str, str]:
    return {}


async def _bearer(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> Mapping[str, str]:
    return {"authorization": f"Bearer {provider.api_key}"} if provider.api_key else {}


def _header(name: str) -> Authorizer:
    async def key(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> Mapping[str, str]:
        return {name: str(provider.api_key)} if provider.api_key else {}

    return key


def _token(vendor: str, fetch: Callable[[Provider], Token], *options: str) -> Authorizer:
    """A token of `vendor`, who tells callers apart by the key and these OPTIONS."""
    credentials = Credentials()

    async def bearer(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> Mapping[str, str]:
        if is_missing(provider.auth):
            raise UpstreamError(f"This provider cannot be called: {needs(provider.auth)}.")
        identity = (provider.api_key, *(str(provider.options.get(name) or "") for name in options))
        credential = credentials.get(identity, lambda: Credential(vendor, lambda: fetch(provider)))
        return {"authorization": f"Bearer {await credential.token()}"}

    return bearer


AUTHORIZERS: Final[dict[str, Authorizer]] = {
    "none": _nothing,
    "bearer": _bearer,
    "x-api-key": _header("x-api-key"),
    "api-key": _header("api-key"),
    "x-goog-api-key": _header("x-goog-api-key"),
    "aws": aws.authorization,
    "google": _token("Google", cloud.google_token, "scope"),
    "azure": _token("Microsoft Entra", cloud.azure_token, "scope", "authority", "tenant_id", "client_id"),
}

KEYED: Final = frozenset({"bearer", "x-api-key", "api-key", "x-goog-api-key"})
"""Ways that cannot work without a key, which goes as it is."""


class Extra(NamedTuple):
    """What `pip install 'django-native-api[name]'` brings: `module` is imported when a request needs it."""

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
    """Raises ValueError('message | hint') where the provider's credentials cannot work, never with a secret in it."""
    key, auth = provider.api_key, provider.auth
    if auth not in AUTHORIZERS:
        raise ValueError(f"unknown AUTH {auth!r} | Known: {', '.join(AUTHORIZERS)}.")
    if auth in KEYED and not (key.isascii() and key.isprintable()):
        raise ValueError("API_KEY has characters that no header can carry | Look for line breaks and for letters that only look alike.")
    if auth == "aws":
        aws.check(key, provider.options)
    if auth == "google" and key:
        _check_google(provider)
    if auth == "azure" and key and not (provider.options.get("tenant_id") and provider.options.get("client_id")):
        raise ValueError(
            "a client's secret, but not whose | Give OPTIONS tenant_id and client_id, or no API_KEY for the machine's own identity."
        )


def _check_google(provider: Provider) -> None:
    try:
        cloud.service_account(provider.api_key)
    except ValueError as problem:
        hint = "Give the JSON of a service account's key, or no API_KEY for the Application Default Credentials."
        raise ValueError(f"{problem} | {hint}") from None
