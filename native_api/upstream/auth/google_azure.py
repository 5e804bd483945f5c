"""Access tokens of Google and Microsoft, through their own libraries, which are imported only when
used. All of it blocks.

A provider's API_KEY holds what is secret, so that it is encrypted at rest and never shown: a
service account's JSON for Google, a client's secret for Microsoft. Without it the machine's own
identity is used, which the libraries find. That goes to the vendor's hosts only (`credentials`),
with a scope that follows from the host.
"""

from __future__ import annotations

import calendar
import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from native_api.types import Json, Provider, Secret
from native_api.upstream.auth.access_tokens import NoToken, Token, words

GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
AZURE_SCOPE: Final = "https://cognitiveservices.azure.com/.default"

GOOGLE_HOSTS: Final = re.compile(
    r"(?:[a-z0-9-]+-)?(?:aiplatform|generativelanguage)(?:-[a-z0-9-]+)?(?:\.(?:p|mtls|(?:[a-z0-9-]+\.)?rep))?\.googleapis\.com"
)
"""Hosts of Vertex AI and Gemini, private endpoints among them.
https://cloud.google.com/vertex-ai/docs/reference/rest and
https://cloud.google.com/vpc/docs/about-accessing-regional-google-apis-endpoints (read 2026-11)."""

AZURE_SCOPES: Final = {"azure.com": AZURE_SCOPE, "azure.us": "https://cognitiveservices.azure.us/.default",
                       "azure.cn": "https://cognitiveservices.azure.cn/.default"}  # fmt: skip
"""The end of a host of Azure's, one for each of its clouds -> the scope of tokens for it."""

AZURE_HOSTS: Final = re.compile(
    r"[a-z0-9-]+\.(?:privatelink\.)?(?:openai|cognitiveservices|services\.ai)\.(?:azure\.com|azure\.us|azure\.cn)"
)
"""Hosts of Azure's AI services. Only Microsoft answers there: what customers run themselves has
other names (`azure-api.net`, `inference.ml.azure.com`).
https://learn.microsoft.com/azure/private-link/private-endpoint-dns (read 2026-11)."""

SERVICE_ACCOUNT: Final = ("client_email", "private_key", "token_uri")


def google_token(provider: Provider) -> Token:
    """A token for a service account or, without one, for the Application Default Credentials.
    Raises NoToken.

    https://google-auth.readthedocs.io/en/stable/user-guide.html (read 2026-11).
    """
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    given: Any = Credentials  # the library's annotations are incomplete
    credentials: Any
    scopes = [google_scope(provider)]
    account = service_account(provider.api_key) if provider.api_key else {}
    with requests.Session() as session:
        session.auth = _as_it_is  # else a ~/.netrc would be read, and what it holds sent along
        try:
            credentials = (
                given.from_service_account_info(account, scopes=scopes)
                if account
                else google.auth.default(scopes)[0]
            )
            credentials.refresh(Request(session))
        except (GoogleAuthError, ValueError) as error:
            raise NoToken(words(error, provider.api_key)) from None
    return Token(Secret(credentials.token), calendar.timegm(credentials.expiry.utctimetuple()))


def _as_it_is(request: Any) -> Any:
    return request


def service_account(text: str) -> Json:
    """A service account's key. Raises ValueError, without any of it."""
    try:
        account: Any = json.loads(text)
    except ValueError:
        raise ValueError("API_KEY is not JSON") from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ValueError("API_KEY is not the key of a service account")
    for name in SERVICE_ACCOUNT:
        if not isinstance(account.get(name), str):
            raise ValueError(f"API_KEY has no {name!r}")
    return account


def google_scope(provider: Provider) -> str:
    return str(provider.options.get("scope") or GOOGLE_SCOPE)


def azure_scope(provider: Provider) -> str:
    """The provider's own, else that of the cloud that its host belongs to."""
    host = urlsplit(provider.base_url).hostname or ""
    of_cloud = next(
        (scope for end, scope in AZURE_SCOPES.items() if host.endswith(f".{end}")), AZURE_SCOPE
    )
    return str(provider.options.get("scope") or of_cloud)


def azure_token(provider: Provider) -> Token:
    """A token for a client with a secret or, without one, for the machine's identity. Raises
    NoToken.

    https://learn.microsoft.com/en-us/python/api/overview/azure/identity-readme (read 2026-11).
    """
    from azure.core.exceptions import AzureError
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    options = provider.options
    # An authority that a site names itself is not looked up at Microsoft's first.
    places = (
        {"authority": options["authority"], "disable_instance_discovery": True}
        if options.get("authority")
        else {}
    )
    try:
        credential: Any
        if provider.api_key:
            credential = ClientSecretCredential(
                options["tenant_id"], options["client_id"], str(provider.api_key), **places
            )
        else:
            credential = DefaultAzureCredential(
                managed_identity_client_id=options.get("client_id"), **places
            )
        with credential:
            token = credential.get_token(azure_scope(provider))
    except (AzureError, ValueError) as error:
        raise NoToken(words(error, provider.api_key)) from None
    return Token(Secret(token.token), token.expires_on)
