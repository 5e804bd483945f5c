"""Authentication methods that a site plugs in.

What they raise must not lead to a secret: an exception may have one in its message. So only its
type and the place are logged. What they return is checked before it is sent, and remembered, so
that it is redacted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import wraps
from typing import Any, Final

from native_api.exceptions import ProviderFault, ProviderUnusable, UpstreamError
from native_api.logs import describe_failure, get_logger
from native_api.types import Provider, UpstreamRequest
from native_api.upstream.auth.methods import Authorizer
from native_api.upstream.call_scopes import raise_if_cancelled
from native_api.upstream.secrets import remember_headers

logger = get_logger("native_api.upstream")

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110, section 5.1."""


class InvalidHeaders(Exception):
    """What is wrong with the headers that a method returned, in words that contain no value."""


def guard(authorizer: Authorizer) -> Authorizer:
    """The method, made to raise nothing but errors of the gateway."""

    @wraps(authorizer)
    async def guarded(
        request: UpstreamRequest, method: str, content: bytes, provider: Provider
    ) -> Mapping[str, str]:
        try:
            headers = _read_headers(await authorizer(request, method, content, provider))
        except (ProviderFault, ProviderUnusable):
            raise  # their words are redacted
        except (Exception, asyncio.CancelledError) as error:
            raise_if_cancelled(error)
            reason = str(error) if isinstance(error, InvalidHeaders) else describe_failure(error)
            logger.error("AUTH %r of the provider %s: %s.", provider.auth, provider.name, reason)
            raise UpstreamError("The gateway has no credentials for this provider.") from None
        remember_headers(provider, headers)
        return headers

    return guarded


def _read_headers(headers: Any) -> dict[str, str]:
    """The headers with lower-case names. Raises InvalidHeaders."""
    if not isinstance(headers, Mapping):
        raise InvalidHeaders(f"the headers must be a dictionary, not {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise InvalidHeaders("a header has an invalid name")
        if not isinstance(value, str):
            raise InvalidHeaders(f"the header {name} must be a string, not {type(value).__name__}")
        if not (value.isascii() and value.isprintable()):
            raise InvalidHeaders(f"the header {name} has characters that are not allowed in one")
    return {name.lower(): value for name, value in headers.items()}
