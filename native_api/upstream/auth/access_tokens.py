"""Short-lived access tokens, cached in the process until shortly before they expire.

Rules:
1. A token is fetched away from the event loop, one fetch at a time per credential, whatever loop
   the calls run on.
2. From `RENEW_BEFORE_SECONDS` before its end a token is renewed while it is still used. So nobody
   waits, and a token service that is down for minutes does no harm.
3. A failure is a ProviderFault: 502, or 504 if the service does not answer. It is remembered for
   `RETRY_SECONDS`, so a broken credential does not cause a storm of requests.
4. Neither a key nor a token appears in an error or in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from native_api.background import executors
from native_api.background.single_flight import SingleFlight
from native_api.bounded_cache import BoundedCache
from native_api.exceptions import UpstreamError, UpstreamTimeout
from native_api.logs import get_logger
from native_api.types import Secret
from native_api.upstream.secrets import reveals

logger = get_logger("native_api.upstream")

RENEW_BEFORE_SECONDS: Final = 300.0
EXPIRY_MARGIN_SECONDS: Final = 10.0
"""Before its end from which a token is not used: the provider's clock may be ahead."""

FETCH_TIMEOUT_SECONDS: Final = 15.0
RETRY_SECONDS: Final = 5.0
MAX_CREDENTIALS: Final = 256
MAX_LOGGED_CHARACTERS: Final = 300
MAX_FETCHES: Final = 8

_lane: Final = executors.foreign.lane(MAX_FETCHES)


class Token(NamedTuple):
    """`expires_at` is in Unix seconds."""

    text: Secret
    expires_at: float


class TokenUnavailable(Exception):
    """Why there is no token, as text for the log. It never contains a secret."""


class Credential:
    """Fetches tokens and caches the last one.

    `fetch` blocks, and raises TokenUnavailable. `vendor` is for messages.
    """

    def __init__(self, vendor: str, fetch: Callable[[], Token]) -> None:
        self._vendor = vendor
        self._fetch = fetch
        self._token: Token | None = None
        self._fetches = SingleFlight[None, Token](FETCH_TIMEOUT_SECONDS)
        self._retry_at = float("-inf")

    async def get_token(self) -> Secret:
        """A token that is valid now. Raises ProviderFault."""
        token, now = self._token, time.time()
        if token is not None and now < token.expires_at - RENEW_BEFORE_SECONDS:
            return token.text
        may_fetch = time.monotonic() >= self._retry_at
        fetch = self._fetches.join(None, self._start_fetch) if may_fetch else None
        if token is not None and now < token.expires_at - EXPIRY_MARGIN_SECONDS:
            return token.text
        if fetch is None:
            raise self._refusal()
        try:
            return (await _lane.wait_for(FETCH_TIMEOUT_SECONDS, fetch)).text
        except TimeoutError:
            raise UpstreamTimeout(f"{self._vendor} gave no access token in time.") from None
        except TokenUnavailable:
            raise self._refusal() from None

    def _refusal(self) -> UpstreamError:
        return UpstreamError(f"{self._vendor} gave no access token for the gateway's credentials.")

    def _start_fetch(self) -> Future[Token]:
        return _lane.submit(self._fetch_and_cache)

    def _fetch_and_cache(self) -> Token:
        try:
            token = self._token = self._fetch()
        except Exception as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            reason = error if isinstance(error, TokenUnavailable) else type(error).__name__
            logger.warning("%s gave no access token: %s", self._vendor, reason)
            raise TokenUnavailable from None
        return token


class CredentialCache(BoundedCache[object, Credential]):
    """The most recent credentials, by a key that tells them apart."""

    def __init__(self) -> None:
        super().__init__(MAX_CREDENTIALS)


def describe_error(error: Exception, secret: str) -> str:
    """The error in one line, for the log; only its type if it reveals any of the secret, encoded or
    not."""
    kind, text = type(error).__name__, str(error)
    if reveals(text, secret):
        return kind
    return f"{kind}: {' '.join(text.split())}"[:MAX_LOGGED_CHARACTERS]
