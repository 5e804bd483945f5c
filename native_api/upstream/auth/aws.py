"""Puts AWS credentials on a request: Signature Version 4, or a Bedrock API key as a bearer token.

Rules:
1. The provider's key says which: `ACCESS_KEY_ID:SECRET_ACCESS_KEY` or `…:SESSION_TOKEN` signs; a
   text without a colon is a Bedrock API key; none at all means botocore's own search:
   AWS_BEARER_TOKEN_BEDROCK, environment, `profile`, files, container, instance. Keys never stand in
   OPTIONS, which the admin shows.
2. botocore is imported when first needed, and by nobody else.
3. The search reads files and asks the network, so it runs in a thread: once for all requests that
   wait for it, again when what it found is about to expire.
4. Only host, date, type and token are signed: the transport may add headers. The path is signed as
   it is sent.
5. No key, and nothing that a credential helper said, reaches an error or a log.
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

from native_api.exceptions import ConfigurationError, UpstreamError
from native_api.logs import get_logger
from native_api.types import Provider, Secret, UpstreamRequest

logger = get_logger("native_api.upstream")

SERVICE: Final = "bedrock"
HOSTS: Final = re.compile(
    r"(?:vpce-[a-z0-9-]+\.)?bedrock(?:-runtime|-mantle)?(?:-fips)?\.[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)
"""Bedrock's hosts, private endpoints among them. The domain alone does not do: AWS's customers have
hosts of their own below it. https://docs.aws.amazon.com/general/latest/gr/bedrock.html and
https://docs.aws.amazon.com/vpc/latest/privatelink/ (read 2026-11)."""

BEARER_VARIABLE: Final = "AWS_BEARER_TOKEN_BEDROCK"
SECRET_OPTIONS: Final = ("access_key_id", "secret_access_key", "session_token", "api_key")

_found: dict[str, Any] = {}
"""Profile -> botocore's credentials, which renew themselves where they expire."""
_searching = threading.Lock()
_searches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[Any]]] = (
    weakref.WeakKeyDictionary()
)


def check(key: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where a provider of this kind cannot work, never with a
    secret in it."""
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
            "an API_KEY of AWS with an empty part",
            "Write it as 'ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]'.",
        )
    if not options.get("region"):
        raise ConfigurationError(
            "no OPTIONS['region']", "Signatures are made for a region, such as 'us-east-1'."
        )
    if find_spec("botocore") is None:
        raise ConfigurationError(
            "botocore is not installed",
            "pip install 'django-native-api[bedrock]', or use a Bedrock API key.",
        )


async def authorization(
    request: UpstreamRequest, method: str, content: bytes, provider: Provider
) -> dict[str, str]:
    """The headers that authorize this request. Raises UpstreamError where there are no usable
    credentials."""
    key = provider.api_key or Secret(os.environ.get(BEARER_VARIABLE, ""))
    if key and ":" not in key:
        return {"authorization": Secret(f"Bearer {key}")}
    try:
        credentials = _given(key) if key else await _searched(provider)
        return _signed(
            request.url, method, content, credentials, str(provider.options.get("region") or "")
        )
    except ImportError:
        raise _unusable("botocore is not installed") from None


def _given(key: str) -> Any:
    from botocore.credentials import ReadOnlyCredentials

    access_key, _, rest = key.partition(":")
    secret_key, _, token = rest.partition(":")
    return ReadOnlyCredentials(access_key, secret_key, token or None)


def _signed(url: str, method: str, content: bytes, credentials: Any, region: str) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(
        method=method, url=url, data=content, headers={"content-type": "application/json"}
    )
    SigV4Auth(credentials, SERVICE, region).add_auth(request)
    told = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
    return {name.lower(): Secret(request.headers[name]) for name in told if name in request.headers}


# --- the search --------------------------------------------------------------------------------------------


async def _searched(provider: Provider) -> Any:
    """What botocore finds for this provider's profile, or found before and is still good."""
    profile = str(provider.options.get("profile") or "")
    known = _found.get(profile)
    if known is not None and not _expires(known):
        return known.get_frozen_credentials()
    loop = asyncio.get_running_loop()
    searches = _searches.setdefault(loop, {})
    if profile not in searches:
        searches[profile] = loop.create_task(asyncio.to_thread(_search, profile))
        searches[profile].add_done_callback(lambda search: _forget(searches, profile, search))
    try:
        return await asyncio.shield(searches[profile])
    except ImportError:
        raise
    except Exception as error:
        logger.warning(
            "No AWS credentials for the provider %s: %s.", provider.name, type(error).__name__
        )
        raise _unusable("none were found, or they could not be renewed") from None


def _expires(credentials: Any) -> bool:
    """Whether it is time to renew; credentials that never expire cannot say."""
    needed = getattr(credentials, "refresh_needed", None)
    return needed is not None and bool(needed())


def _search(profile: str) -> Any:
    """Runs in a thread. Raises what botocore raises, or LookupError."""
    from botocore.session import Session

    with _searching:
        if profile not in _found:
            credentials = Session(profile=profile or None).get_credentials()
            if credentials is None:
                raise LookupError
            _found[profile] = credentials
    return _found[profile].get_frozen_credentials()


def _forget(
    searches: dict[str, asyncio.Task[Any]], profile: str, search: asyncio.Task[Any]
) -> None:
    searches.pop(profile, None)
    if not search.cancelled():
        search.exception()  # Told to whoever waited; nobody may have stayed.


def _unusable(reason: str) -> UpstreamError:
    error = UpstreamError(
        f"The provider's AWS credentials cannot be used: {reason}.", code="credentials_unusable"
    )
    error.headers["x-should-retry"] = "false"
    return error
