"""A cache of API keys, so that a request needs no query to find its key. Rules:

1. A row is used for MAX_AGE seconds, counted from before its query. So a key that was revoked, or
   whose owner was deactivated, stops working in every process within 5 seconds. Expiry is checked
   on every use.
2. While the database is unavailable, a cached key stays valid for GRACE seconds after it was last
   read; any other key is a 503. Nobody waits for a database that is known to be down.
3. Digests that are not in the database are cached apart: guessing cannot evict valid keys.

How this is kept, and that concurrent lookups of one key share a query, is in
`background.cached_value`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import router

from native_api.access.keys.text import PREFIX_LENGTH, Shape, digest, parse
from native_api.background.cached_value import CachedValues
from native_api.exceptions import DatabaseUnavailable, InvalidApiKey
from native_api.models import ApiKey

# Seconds.
MAX_AGE: Final = 3.0
GRACE: Final = 300.0

MAX_ENTRIES: Final = 10_000


def read_row(hashed: str) -> ApiKey | None:
    """The key's row with its owner, from the writable database: a replica may lag behind a
    revocation."""
    rows = ApiKey._base_manager.using(router.db_for_write(ApiKey)).select_related("owner")
    return rows.filter(digest=hashed).first()


def _raise_unavailable() -> ApiKey:
    raise DatabaseUnavailable(headers={"retry-after": "5"})


class KeyCache:
    """The rows of keys by their digest, one cache per process. Requests share the rows and must not
    change them."""

    def __init__(
        self,
        max_age: float = MAX_AGE,
        grace: float = GRACE,
        size: int = MAX_ENTRIES,
        read: Callable[[str], ApiKey | None] = read_row,
    ) -> None:
        self._rows = CachedValues[str, ApiKey | None](
            "API keys", read, _raise_unavailable, size, max_age, grace
        )

    def get(self, text: str) -> ApiKey:
        """The key with this text, if it is valid. Raises InvalidApiKey, DatabaseUnavailable."""
        hashed = digest(text)
        entry = self._rows.fresh(hashed)
        if entry is not None:
            return _check_usable(entry.value, text)
        _check_well_formed(text)
        return _check_usable(self._rows.get(hashed), text)

    async def aget(self, text: str) -> ApiKey:
        """`get` for an event loop: an uncached key is looked up in a worker thread."""
        hashed = digest(text)
        entry = self._rows.fresh(hashed)
        if entry is not None:
            return _check_usable(entry.value, text)
        _check_well_formed(text)
        return _check_usable(await self._rows.aget(hashed), text)

    def forget(self, key: ApiKey) -> None:
        """Drop this key, so that its next use queries the database. Lookups under way are
        ignored."""
        self._rows.discard_where(
            lambda hashed, row: hashed == key.digest or (row is not None and row.pk == key.pk)
        )

    def clear(self) -> None:
        """Drop everything."""
        self._rows.clear()


def _check_well_formed(text: str) -> None:
    if parse(text) is not Shape.KEY:
        raise InvalidApiKey(
            "The API key is malformed: its checksum does not match. Check that it was copied whole."
        )


def _check_usable(key: ApiKey | None, text: str) -> ApiKey:
    if key is None or not key.is_active or not key.owner.is_active:
        raise InvalidApiKey(
            f"The API key {text[:PREFIX_LENGTH]}… is unknown, revoked or expired. "
            "Use another one, or ask the operators of this site for it."
        )
    return key


cache: Final = KeyCache()


def forget_changed(*, instance: ApiKey, **kwargs: Any) -> None:
    """A receiver of Django's signals."""
    cache.forget(instance)
