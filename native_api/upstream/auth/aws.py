"""Puts AWS credentials on a request: Signature Version 4, or a Bedrock API key as a bearer token.

Rules:
1. API_KEY decides: `ACCESS_KEY_ID:SECRET_ACCESS_KEY` or `…:SESSION_TOKEN` signs; a text without a
   colon is a Bedrock API key; no key means botocore's own search: AWS_BEARER_TOKEN_BEDROCK,
   environment, `profile`, files, container, instance. Keys are not allowed in OPTIONS, which the
   admin shows.
2. botocore is imported here only, when first needed.
3. The search reads files and uses the network, so it runs in a thread: once for all requests that
   wait for it, and again when its credentials are about to expire.
4. Only host, date, content type and token are signed, since the transport may add headers. The path
   is signed as it is sent.
5. No key, and no output of a credential helper, appears in an error or in the log.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html (read 2026-11).
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import weakref
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

from native_api.background import executors
from native_api.exceptions import ConfigurationError, UpstreamError
from native_api.forks import reset_after_fork
from native_api.logs import get_logger
from native_api.types import Provider, Secret, UpstreamRequest

logger = get_logger("native_api.upstream")

SERVICE: Final = "bedrock"
HOSTS: Final = re.compile(
    r"(?:vpce-[a-z0-9-]+\.)?bedrock(?:-runtime|-mantle)?(?:-fips)?"
    r"\.[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)
"""Bedrock's hosts, including private endpoints. The domain alone is not enough: AWS's customers
have hosts below it. https://docs.aws.amazon.com/general/latest/gr/bedrock.html and
https://docs.aws.amazon.com/vpc/latest/privatelink/ (read 2026-11)."""

BEARER_VARIABLE: Final = "AWS_BEARER_TOKEN_BEDROCK"
SECRET_OPTIONS: Final = ("access_key_id", "secret_access_key", "session_token", "api_key")

MAX_SEARCHES: Final = 4
SEARCH_SECONDS: Final = 30.0
"""How long calls wait for a search, which may use the network or run a helper."""

_lane: Final = executors.foreign.lane(MAX_SEARCHES)
_credentials: dict[str, Any] = {}
"""Profile -> botocore's credentials, which renew themselves if they expire."""
_search_lock = threading.Lock()
_searches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[Any]]] = (
    weakref.WeakKeyDictionary()
)


def _after_fork() -> None:
    """Replace the lock, and the credentials, which have locks of their own: one held by a thread of
    the parent would never be released."""
    global _search_lock
    _search_lock = threading.Lock()
    _credentials.clear()


reset_after_fork(_after_fork)


def check(key: str, options: Mapping[str, Any]) -> None:
    """Raises ConfigurationError, without a secret, if this API_KEY and OPTIONS cannot work."""
    for name in SECRET_OPTIONS:
        if options.get(name):
            raise ConfigurationError(
                f"OPTIONS[{name!r}] is a secret",
                "Give it as API_KEY: 'ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]'.",
            )
    if key and ":" not in key:
        return
    if key and not all(key.split(":")):
        raise ConfigurationError(
            "the AWS API_KEY has an empty part",
            "Write it as 'ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]'.",
        )
    if not options.get("region"):
        raise ConfigurationError(
            "no OPTIONS['region']", "Give the region to sign for, such as 'us-east-1'."
        )
    if find_spec("botocore") is None:
        raise ConfigurationError(
            "botocore is not installed",
            "pip install 'django-native-api[bedrock]', or use a Bedrock API key.",
        )


async def authorization_headers(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> dict[str, str]:
    """The headers that authorize this request. Raises UpstreamError if there are no usable
    credentials."""
    key = provider.api_key or Secret(os.environ.get(BEARER_VARIABLE, ""))
    if key and ":" not in key:
        return {"authorization": Secret(f"Bearer {key}")}
    try:
        credentials = _parse_key(key) if key else await _find_credentials(provider)
        return _sign(
            request.url, method, content, credentials, str(provider.options.get("region") or "")
        )
    except ImportError:
        raise _unusable("botocore is not installed") from None


def _parse_key(key: str) -> Any:
    from botocore.credentials import ReadOnlyCredentials

    access_key, _, rest = key.partition(":")
    secret_key, _, token = rest.partition(":")
    return ReadOnlyCredentials(access_key, secret_key, token or None)


def _sign(url: str, method: str, content: bytes, credentials: Any, region: str) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(
        method=method, url=url, data=content, headers={"content-type": "application/json"}
    )
    SigV4Auth(credentials, SERVICE, region).add_auth(request)
    names = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
    return {
        name.lower(): Secret(request.headers[name]) for name in names if name in request.headers
    }


# --- the search ----------------------------------------------------------------------------------


async def _find_credentials(provider: Provider) -> Any:
    """The credentials that botocore finds for this provider's profile, cached until they expire."""
    profile = str(provider.options.get("profile") or "")
    credentials = _credentials.get(profile)
    if credentials is not None and not _needs_refresh(credentials):
        return credentials.get_frozen_credentials()
    loop = asyncio.get_running_loop()
    searches = _searches.setdefault(loop, {})
    if profile not in searches:
        searches[profile] = loop.create_task(_lane.run(SEARCH_SECONDS, _search, profile))
        searches[profile].add_done_callback(lambda search: _end_search(searches, profile, search))
    try:
        return await asyncio.shield(searches[profile])
    except ImportError:
        raise
    except Exception as error:
        logger.warning(
            "No AWS credentials for the provider %s: %s.", provider.name, type(error).__name__
        )
        raise _unusable("none were found, or they could not be renewed") from None


def _needs_refresh(credentials: Any) -> bool:
    """Credentials that never expire have no `refresh_needed`."""
    refresh_needed = getattr(credentials, "refresh_needed", None)
    return refresh_needed is not None and bool(refresh_needed())


def _search(profile: str) -> Any:
    """Runs in a thread. Raises what botocore raises, or LookupError."""
    from botocore.session import Session

    with _search_lock:
        if profile not in _credentials:
            credentials = Session(profile=profile or None).get_credentials()
            if credentials is None:
                raise LookupError
            _credentials[profile] = credentials
    return _credentials[profile].get_frozen_credentials()


def _end_search(
    searches: dict[str, asyncio.Task[Any]], profile: str, search: asyncio.Task[Any]
) -> None:
    searches.pop(profile, None)
    if not search.cancelled():
        search.exception()  # if all waiters left, asyncio would log that nobody retrieved it


def _unusable(reason: str) -> UpstreamError:
    error = UpstreamError(
        f"The provider's AWS credentials cannot be used: {reason}.", code="credentials_unusable"
    )
    error.headers["x-should-retry"] = "false"
    return error
