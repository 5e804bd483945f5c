"""Access tokens of Google Cloud, through Google's own library, which is imported when first used.

API_KEY holds the JSON key of a service account, so that it is encrypted at rest and never shown.
Without it the library finds the machine's own identity, which is sent to Google's hosts only
(`methods`).
"""

from __future__ import annotations

import calendar
import json
import re
from typing import Any, Final

from native_api.types import Json, Provider, Secret
from native_api.upstream.auth.access_tokens import Token, TokenUnavailable, describe_error

DEFAULT_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

HOSTS: Final = re.compile(
    r"(?:[a-z0-9-]+-)?(?:aiplatform|generativelanguage)(?:-[a-z0-9-]+)?"
    r"(?:\.(?:p|mtls|(?:[a-z0-9-]+\.)?rep))?\.googleapis\.com"
)
"""Hosts of Vertex AI and Gemini, including private endpoints.
https://cloud.google.com/vertex-ai/docs/reference/rest and
https://cloud.google.com/vpc/docs/about-accessing-regional-google-apis-endpoints (read 2026-11)."""

REQUIRED_MEMBERS: Final = ("client_email", "private_key", "token_uri")


def scope_for(provider: Provider) -> str:
    return str(provider.options.get("scope") or DEFAULT_SCOPE)


def fetch_token(provider: Provider) -> Token:
    """A token for the service account or, without one, for the Application Default Credentials.

    Blocks. Raises TokenUnavailable.
    https://google-auth.readthedocs.io/en/stable/user-guide.html (read 2026-11).
    """
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    account_credentials: Any = Credentials  # the library's annotations are incomplete
    credentials: Any
    scopes = [scope_for(provider)]
    account = parse_service_account(provider.api_key) if provider.api_key else {}
    with requests.Session() as session:
        session.auth = _no_auth  # otherwise ~/.netrc would be read and sent
        try:
            credentials = (
                account_credentials.from_service_account_info(account, scopes=scopes)
                if account
                else google.auth.default(scopes)[0]
            )
            credentials.refresh(Request(session))
        except (GoogleAuthError, ValueError) as error:
            raise TokenUnavailable(describe_error(error, provider.api_key)) from None
    return Token(Secret(credentials.token), calendar.timegm(credentials.expiry.utctimetuple()))


def _no_auth(request: Any) -> Any:
    return request


def parse_service_account(text: str) -> Json:
    """The JSON key of a service account. Raises ValueError, without any of its content."""
    try:
        account: Any = json.loads(text)
    except ValueError:
        raise ValueError("API_KEY is not JSON") from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ValueError("API_KEY is not the key of a service account")
    for name in REQUIRED_MEMBERS:
        if not isinstance(account.get(name), str):
            raise ValueError(f"API_KEY has no {name!r}")
    return account
