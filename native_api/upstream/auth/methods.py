"""Authentication methods: how a provider's key, or a token made from it, is put on a request.
`Provider.auth` names one.

A method is one line of `AUTHORIZERS`: a function of the request to send, its HTTP method, its body
and the provider, which returns the headers to add. A site can plug in methods of its own
(`site_methods`).

Without a key, `aws`, `google` and `azure` send the identity of the machine, and a site's method
what only the site knows. Whoever may add a provider could have it sent to their own host, so it
goes only to the vendor's hosts, or to those that the settings name (`IDENTITY_HOSTS`), and the
provider cannot choose its scope.
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
from native_api.types.registry import Registry
from native_api.upstream.auth import aws, azure, google
from native_api.upstream.auth.access_tokens import Credential, CredentialCache, Token
from native_api.upstream.redaction import redact_url
from native_api.upstream.secrets import hide_secrets, remember_credentials, secrets_for

logger = get_logger("native_api.upstream")

MAX_REASON: Final = 500
"""Characters of a refusal's reason that are logged."""

Authorizer = Callable[[UpstreamRequest, str, bytes, Provider], Awaitable[Mapping[str, str]]]
"""An async function of the request, its HTTP method, the bytes of its body and the provider, which
returns the headers to add. It does not change the request."""


async def authorize(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> dict[str, str]:
    """All headers to send: the request's, the provider's, and the credentials.

    Raises ProviderFault, ProviderUnusable.
    """
    if provider.unusable:  # the catalog has logged it
        raise ProviderUnusable(provider.unusable)
    try:
        if not provider.api_key and has_identity(provider.auth):
            _check_host(request.url, provider)
        credentials = await AUTHORIZERS[provider.auth](request, method, content, provider)
    except ProviderUnusable as error:
        _log_refusal(error.reason, provider)
        raise
    if provider.auth in VENDOR_HOSTS:
        remember_credentials(provider, credentials)
    return {**request.headers, **provider.headers, **credentials}


def _check_host(url: str, provider: Provider) -> None:
    """Raise ProviderUnusable if the host may not get what is sent without a key."""
    if not may_send_identity(provider, url):
        reason = (
            f"{describe_identity(provider.auth)} is not sent to {redact_url(url)}, "
            "which is not a host of the vendor's"
        )
        raise ProviderUnusable(reason)


def _log_refusal(reason: str, provider: Provider) -> None:
    """The answer says that the reason is in the log. A site's own method may have a secret in
    it."""
    shown = hide_secrets(reason, tuple(secrets_for(provider)), MAX_REASON)
    logger.error("The provider %s is not called: %s", provider.name, shown)


async def _no_headers(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> Mapping[str, str]:
    return {}


async def _bearer_key(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> Mapping[str, str]:
    return {"authorization": Secret(f"Bearer {provider.api_key}")} if provider.api_key else {}


def _key_header(name: str) -> Authorizer:
    async def authorizer(
        request: UpstreamRequest, method: str, content: bytes, provider: Provider
    ) -> Mapping[str, str]:
        return {name: provider.api_key} if provider.api_key else {}

    return authorizer


def _bearer_token(
    vendor: str, fetch: Callable[[Provider], Token], scope: Callable[[Provider], str], *options: str
) -> Authorizer:
    """An authorizer that sends an access token, one for each key, scope and value of these
    OPTIONS."""
    credentials = CredentialCache()

    async def authorizer(
        request: UpstreamRequest, method: str, content: bytes, provider: Provider
    ) -> Mapping[str, str]:
        if is_extra_missing(provider.auth):
            raise UpstreamError(
                f"This provider cannot be called: {describe_missing_extra(provider.auth)}."
            )
        identity = (
            provider.api_key,
            scope(provider),
            *(str(provider.options.get(name) or "") for name in options),
        )
        credential = credentials.get_or_make(
            identity, lambda: Credential(vendor, lambda: fetch(provider))
        )
        return {"authorization": Secret(f"Bearer {await credential.get_token()}")}

    return authorizer


AUTHORIZERS: Final[Registry[Authorizer]] = Registry(
    {
        "none": _no_headers,
        "bearer": _bearer_key,
        "x-api-key": _key_header("x-api-key"),
        "api-key": _key_header("api-key"),
        "x-goog-api-key": _key_header("x-goog-api-key"),
        "aws": aws.authorization_headers,
        "google": _bearer_token("Google", google.fetch_token, google.scope_for),
        "azure": _bearer_token(
            "Microsoft Entra",
            azure.fetch_token,
            azure.scope_for,
            "authority",
            "tenant_id",
            "client_id",
        ),
    }
)
"""Methods by name. `catalog.plugins` adds the site's own (AUTH_METHODS)."""

VENDOR_HOSTS: Final = {"aws": aws.HOSTS, "google": google.HOSTS, "azure": azure.HOSTS}
"""Methods that send the machine's identity if there is no key -> the vendor's hosts."""

KEY_METHODS: Final = frozenset({"bearer", "x-api-key", "api-key", "x-goog-api-key"})
"""Methods that send the key itself, and cannot work without one."""


def has_identity(auth: str) -> bool:
    """Whether the method sends something of its own if there is no key."""
    return auth in VENDOR_HOSTS or auth in AUTHORIZERS.site


def describe_identity(auth: str) -> str:
    """What the method sends if there is no key."""
    return "the machine's identity" if auth in VENDOR_HOSTS else f"what AUTH {auth!r} makes"


def may_send_identity(provider: Provider, url: str) -> bool:
    """Whether what is sent without a key may be sent to this URL."""
    scheme, host = _scheme_and_host(url)
    vendor_hosts = VENDOR_HOSTS.get(provider.auth)
    return host in provider.identity_hosts or (
        scheme == "https" and vendor_hosts is not None and vendor_hosts.fullmatch(host) is not None
    )


@lru_cache(maxsize=1024)
def _scheme_and_host(url: str) -> tuple[str, str]:
    """Parsed as the transport does; both empty if that fails."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "", ""
    return parsed.scheme, parsed.host


class Extra(NamedTuple):
    """An extra of this package (`pip install 'django-native-api[name]'`).

    `module` is what a request imports.
    """

    name: str
    module: str


EXTRAS: Final = {
    "google": Extra("google", "google.auth"),
    "azure": Extra("azure", "azure.identity"),
}
"""Authentication method -> the extra that it needs."""


def is_extra_missing(auth: str) -> bool:
    """Whether the method needs an extra that is not installed."""
    extra = EXTRAS.get(auth)
    try:
        return extra is not None and find_spec(extra.module) is None
    except ModuleNotFoundError:
        return True


def describe_missing_extra(auth: str) -> str:
    """What has to be installed for the method."""
    return f"AUTH {auth!r} needs pip install 'django-native-api[{EXTRAS[auth].name}]'"


def check(provider: Provider) -> None:
    """Raises ConfigurationError if the provider's credentials cannot work. It contains no
    secret."""
    key, auth = provider.api_key, provider.auth
    if auth not in AUTHORIZERS:
        raise ConfigurationError(f"unknown AUTH {auth!r}", f"Known: {', '.join(AUTHORIZERS)}.")
    if auth in (*KEY_METHODS, "aws") and not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            "API_KEY has characters that are not allowed in an HTTP header",
            "Look for line breaks and for letters that only look alike.",
        )
    if auth == "aws":
        aws.check(key, provider.options)
    if has_identity(auth) and not key:
        _check_identity(provider)
    if auth == "google" and key:
        _check_google(provider)
    if auth == "azure" and key:
        _check_azure(provider)


def _check_identity(provider: Provider) -> None:
    if not may_send_identity(provider, provider.base_url):
        raise ConfigurationError(
            f"no API_KEY, and {describe_identity(provider.auth)} is not sent to "
            f"{redact_url(provider.base_url)}",
            "Give an API_KEY, or an address of the vendor's, or define the provider in "
            "NATIVE_API['PROVIDERS'] with this host among its IDENTITY_HOSTS.",
        )
    option = next((name for name in ("scope", "authority") if provider.options.get(name)), "")
    if option and not provider.identity_hosts:
        raise ConfigurationError(
            f"OPTIONS[{option!r}] needs an API_KEY",
            "It cannot be chosen for the machine's identity. Remove it.",
        )


def _check_google(provider: Provider) -> None:
    try:
        google.parse_service_account(provider.api_key)
    except ValueError as error:
        hint = (
            "Give the JSON of a service account's key, or no API_KEY for the Application Default "
            "Credentials."
        )
        raise ConfigurationError(str(error), hint) from None


def _check_azure(provider: Provider) -> None:
    if not (provider.options.get("tenant_id") and provider.options.get("client_id")):
        raise ConfigurationError(
            "a client secret also needs OPTIONS tenant_id and client_id",
            "Give both, or no API_KEY to use the machine's own identity.",
        )
