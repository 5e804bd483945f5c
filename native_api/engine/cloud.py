"""Access tokens of Google and Microsoft, through their own libraries, which are imported only when used. All of it blocks.

A provider's API_KEY holds what is secret, so that it is encrypted at rest and never shown: a service account's JSON for Google, a
client's secret for Microsoft. Without it the machine's own identity is used, which the libraries find.
"""

from __future__ import annotations

import calendar
import json
from typing import Any, Final

from native_api.engine.tokens import NoToken, Token, words
from native_api.types import Json, Provider, Secret

GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
AZURE_SCOPE: Final = "https://cognitiveservices.azure.com/.default"

SERVICE_ACCOUNT: Final = ("client_email", "private_key", "token_uri")


def google_token(provider: Provider) -> Token:
    """A token for a service account or, without one, for the Application Default Credentials. Raises NoToken.

    https://google-auth.readthedocs.io/en/stable/user-guide.html (read 2026-11).
    """
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    given: Any = Credentials  # the library's annotations are incomplete
    credentials: Any
    scopes = [provider.options.get("scope") or GOOGLE_SCOPE]
    account = service_account(provider.api_key) if provider.api_key else {}
    with requests.Session() as session:
        session.auth = _as_it_is  # else a ~/.netrc would be read, and what it holds sent along
        try:
            credentials = given.from_service_account_info(account, scopes=scopes) if account else google.auth.default(scopes)[0]
            credentials.refresh(Request(session))
        except (GoogleAuthError, ValueError) as error:
            raise NoToken(words(error, account.get("private_key", ""))) from None
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


def azure_token(provider: Provider) -> Token:
    """A token for a client with a secret or, without one, for the machine's identity. Raises NoToken.

    https://learn.microsoft.com/en-us/python/api/overview/azure/identity-readme (read 2026-11).
    """
    from azure.core.exceptions import AzureError
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    options = provider.options
    # An authority that a site names itself is not looked up at Microsoft's first.
    places = {"authority": options["authority"], "disable_instance_discovery": True} if options.get("authority") else {}
    try:
        credential: Any
        if provider.api_key:
            credential = ClientSecretCredential(options["tenant_id"], options["client_id"], str(provider.api_key), **places)
        else:
            credential = DefaultAzureCredential(managed_identity_client_id=options.get("client_id"), **places)
        with credential:
            token = credential.get_token(options.get("scope") or AZURE_SCOPE)
    except (AzureError, ValueError) as error:
        raise NoToken(words(error, provider.api_key)) from None
    return Token(Secret(token.token), token.expires_on)
