"""Short-lived access tokens, kept in the process until shortly before they end. Rules:

1. A token is fetched away from the event loop, one fetch at a time per credential, on whatever loop
   the calls are.
2. From `LEEWAY` before its end a token is renewed while it is still used, so nobody waits, and a
   token service that is away for minutes harms nobody.
3. A failure is the provider's fault: 502, or 504 where the service is silent. It stands for
   `PAUSE`, so a broken credential does not become a storm of requests.
4. Neither a key nor a token reaches an error or the log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from native_api.background import blocking
from native_api.exceptions import UpstreamError, UpstreamTimeout
from native_api.logs import get_logger
from native_api.types import Secret
from native_api.upstream.redaction import repeats

logger = get_logger("native_api.upstream")

LEEWAY: Final = 300.0
MARGIN: Final = 10.0
"""Seconds before its end from which a token is not used: the provider's clock may be ahead."""

PATIENCE: Final = 15.0
"""Seconds that a call waits for a token."""

PAUSE: Final = 5.0
MAX_KEPT: Final = 256
MAX_WORDS: Final = 300


class Token(NamedTuple):
    """`ends_at` is in Unix time."""

    text: Secret
    ends_at: float


class NoToken(Exception):
    """Why there is no token, in words for the log. Raised by what fetches them, never with a secret
    in it."""


class Credential:
    """What tokens are fetched with, and the last one. `fetch` blocks. `name` says whose it is, for
    people."""

    def __init__(self, name: str, fetch: Callable[[], Token]) -> None:
        self._name = name
        self._fetch = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._fetching: Future[Token] | None = None
        self._begun_at = float("-inf")

    async def token(self) -> Secret:
        """A token that can be used now. Raises ProviderFault."""
        token, now = self._token, time.time()
        if token is not None and now < token.ends_at - LEEWAY:
            return token.text
        fetching = self._renew()
        if token is not None and now < token.ends_at - MARGIN:
            return token.text
        try:
            return (await blocking.wait(fetching, PATIENCE)).text
        except TimeoutError:
            raise UpstreamTimeout(f"{self._name} gave no access token in time.") from None
        except NoToken:
            raise UpstreamError(
                f"{self._name} gave no access token for the gateway's credentials."
            ) from None

    def _renew(self) -> Future[Token]:
        """The fetch that is under way, or that failed a moment ago, or a new one."""
        with self._lock:
            if self._fetching is None or self._is_over(self._fetching):
                self._begun_at = time.monotonic()
                self._fetching = blocking.start(self._fetched)
            return self._fetching

    def _is_over(self, fetching: Future[Token]) -> bool:
        age = time.monotonic() - self._begun_at
        if not fetching.done():
            return age > PATIENCE
        return fetching.exception() is None or age > PAUSE

    def _fetched(self) -> Token:
        try:
            token = self._token = self._fetch()
        except NoToken as reason:
            logger.warning("%s gave no access token: %s", self._name, reason)
            raise
        except Exception as error:
            logger.warning("%s gave no access token: %s", self._name, type(error).__name__)
            raise NoToken from None
        return token


class Credentials:
    """The credentials that were used lately, by anything that tells them apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[object, Credential] = {}

    def get(self, key: object, make: Callable[[], Credential]) -> Credential:
        found = self._kept.get(key)
        if found is not None:
            return found
        with self._lock:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            return self._kept.setdefault(key, make())


def words(error: Exception, secret: str) -> str:
    """What an error says, in one line, for the log; its kind alone if it repeats any of the secret,
    encoded or not."""
    kind, text = type(error).__name__, str(error)
    return kind if repeats(text, secret) else f"{kind}: {' '.join(text.split())}"[:MAX_WORDS]
