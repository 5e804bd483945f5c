"""Finding a key's row without a query for each request. Rules:

1. What the database said is used for `MAX_AGE`, counted from before it was asked. So a key that was
   revoked, or whose owner was deactivated, ends in every process within 5 seconds. Expiry is looked
   at on every use.
2. Many requests at once for one key that is not cached cost one query: one flies, the others wait
   for its landing.
3. While the database is away (it fails, or does not answer for `PATIENCE`), a key that was known
   goes on being accepted for `GRACE` after it was last read; any other is a 503. Meanwhile one
   caller asks each `RETRY` and the others do not wait.
4. Keys that the database does not know are remembered apart: guessing cannot push out the known
   ones.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from django.db import InterfaceError, OperationalError, connections, router
from django.db.models.signals import post_delete, post_save

from native_api import background
from native_api.access.keys.text import PREFIX_LENGTH, Shape, digest, parse
from native_api.exceptions import DatabaseUnavailable, InvalidApiKey
from native_api.logs import get_logger
from native_api.models import ApiKey

logger = get_logger("native_api.access")

MAX_AGE: Final = 3.0
GRACE: Final = 300.0
PATIENCE: Final = 2.0
RETRY: Final = 1.0
MAX_ENTRIES: Final = 10_000


class Entry(NamedTuple):
    """What the database said of one digest: the key, its owner loaded, or None where it knows
    none."""

    key: ApiKey | None
    read_at: float


_threads: Final = background.Threads("native-api-keys", 4)

Flight = Future[Entry | None]
"""A query under way; None where the database gave no answer."""


class KeyCache:
    """Digest -> Entry, bounded, for the whole process. Its keys are shared by requests: nobody may
    change them."""

    def __init__(
        self,
        max_age: float = MAX_AGE,
        grace: float = GRACE,
        patience: float = PATIENCE,
        size: int = MAX_ENTRIES,
    ) -> None:
        self._max_age, self._grace, self._patience, self._size = max_age, grace, patience, size
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._unknown: OrderedDict[str, Entry] = OrderedDict()
        self._outage = False
        self._ask_again_at = 0.0
        self._changes = 0
        self.after_fork()

    def after_fork(self) -> None:
        """A lock held, or a query begun, by a thread that the child does not have would never
        end."""
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def get(self, text: str) -> ApiKey:
        """The key with this text, if it may be used now. Raises InvalidApiKey,
        DatabaseUnavailable."""
        hashed = _digest_of_key(text)
        return _usable(self._fresh(hashed) or self._look_up(hashed), text)

    async def aget(self, text: str) -> ApiKey:
        """`get` for an event loop. It waits, for a worker thread's query, only where the key is not
        cached."""
        hashed = _digest_of_key(text)
        return _usable(self._fresh(hashed) or await self._alook_up(hashed), text)

    def forget(self, key: ApiKey) -> None:
        """Have this key read anew, here at once and elsewhere by rule 1. A query already under way
        does not count."""
        with self._lock:
            self._changes += 1
            self._flights.clear()
            self._unknown.pop(key.digest, None)
            for hashed in [
                hashed
                for hashed, entry in self._known.items()
                if entry.key is not None and entry.key.pk == key.pk
            ]:
                del self._known[hashed]

    def clear(self) -> None:
        """Start anew."""
        with self._lock:
            self._changes += 1
            self._flights.clear()
            self._known.clear()
            self._unknown.clear()
            self._outage = False

    def _fresh(self, hashed: str) -> Entry | None:
        entry = self._known.get(hashed) or self._unknown.get(hashed)
        return (
            entry
            if entry is not None and time.monotonic() - entry.read_at < self._max_age
            else None
        )

    # --- flights -----------------------------------------------------------------------------------------------

    def _look_up(self, hashed: str) -> Entry:
        flight, is_mine = self._board(hashed)
        if is_mine:
            self._fly(hashed, flight)
        try:
            return flight.result(self._patience) or self._without_database(hashed)
        except TimeoutError:
            self._give_up(hashed, flight)
            return self._without_database(hashed)

    async def _alook_up(self, hashed: str) -> Entry:
        flight, is_mine = self._board(hashed)
        if is_mine:
            _threads.submit(self._fly, hashed, flight)
        try:
            return await _threads.wait(self._patience, flight) or self._without_database(hashed)
        except background.HangingCall:
            self._give_up(hashed, flight)
            return self._without_database(hashed)

    def _board(self, hashed: str) -> tuple[Flight, bool]:
        """The query for this digest, and whether it is the caller who has to run it."""
        with self._lock:
            if self._outage and not self._is_time_to_ask():
                return _grounded(), False
            flight = self._flights.get(hashed)
            if flight is not None:
                return flight, False
            flight = self._flights[hashed] = Future()
            flight.set_running_or_notify_cancel()
            return flight, True

    def _is_time_to_ask(self) -> bool:
        if time.monotonic() < self._ask_again_at:
            return False
        self._ask_again_at = time.monotonic() + RETRY
        return True

    def _fly(self, hashed: str, flight: Flight) -> None:
        try:
            flight.set_result(self._fresh(hashed) or self._read(hashed))
        except BaseException as error:
            flight.set_exception(error)
        finally:
            self._strike(hashed, flight)

    def _strike(self, hashed: str, flight: Flight) -> None:
        """Off the board, so that the next to come asks anew."""
        with self._lock:
            if self._flights.get(hashed) is flight:
                del self._flights[hashed]

    def _give_up(self, hashed: str, flight: Flight) -> None:
        self._strike(hashed, flight)
        self._gave_no_answer(f"no answer in {self._patience:g} s")

    # --- the database ------------------------------------------------------------------------------------------

    def _read(self, hashed: str) -> Entry | None:
        changes, read_at = self._changes, time.monotonic()
        try:
            entry = Entry(_row(hashed), read_at)
        except (OperationalError, InterfaceError) as error:
            self._gave_no_answer(str(error).strip() or type(error).__name__)
            return None
        with self._lock:
            if self._outage:
                self._outage = False
                logger.warning("The database can be read again; keys are looked up as usual.")
            if changes == self._changes:
                self._keep(hashed, entry)
        return entry

    def _keep(self, hashed: str, entry: Entry) -> None:
        """Each use after `MAX_AGE` comes by here, so the front of the order is what was least
        lately used."""
        entries, size = (
            (self._known, self._size)
            if entry.key is not None
            else (self._unknown, max(1, self._size // 10))
        )
        (self._unknown if entry.key is not None else self._known).pop(hashed, None)
        entries[hashed] = entry
        entries.move_to_end(hashed)
        if len(entries) > size:
            entries.popitem(last=False)

    def _gave_no_answer(self, reason: str) -> None:
        with self._lock:
            was_known, self._outage = self._outage, True
            if not was_known:
                self._ask_again_at = time.monotonic() + RETRY
        if not was_known:
            logger.warning(
                "The database cannot be read (%s); keys known before stay valid for %d s.",
                reason,
                self._grace,
            )

    def _without_database(self, hashed: str) -> Entry:
        entry = self._known.get(hashed)
        if entry is None or time.monotonic() - entry.read_at > self._grace:
            raise DatabaseUnavailable(headers={"retry-after": "5"})
        return entry


def _grounded() -> Flight:
    """The flight of those who need not ask: it has landed, without an answer."""
    flight: Flight = Future()
    flight.set_result(None)
    return flight


def _digest_of_key(text: str) -> str:
    if parse(text) is not Shape.KEY:
        raise InvalidApiKey(
            "The API key is malformed: its checksum does not match. Was it mistyped, or not copied whole?"
        )
    return digest(text)


def _usable(entry: Entry, text: str) -> ApiKey:
    key = entry.key
    if key is None or not key.is_active or not key.owner.is_active:
        raise InvalidApiKey(f"The API key {text[:PREFIX_LENGTH]}… is unknown, revoked or expired.")
    return key


def _row(hashed: str) -> ApiKey | None:
    """The key's row, from the database that is written to: a replica may lag behind a
    revocation."""
    alias = router.db_for_write(ApiKey)
    rows = ApiKey._base_manager.using(alias).select_related("owner").filter(digest=hashed)
    connection = connections[alias]
    may_be_old = connection.connection is not None and not connection.in_atomic_block
    try:
        return rows.first()
    except (OperationalError, InterfaceError):
        # A connection from before a restart of the database fails once, though the database is
        # there.
        if may_be_old:
            connection.close_if_unusable_or_obsolete()
        if not may_be_old or connection.connection is not None:
            raise
        return rows.first()


cache: Final = KeyCache()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cache.after_fork)


def _forget_changed(*, instance: ApiKey, **kwargs: Any) -> None:
    cache.forget(instance)


post_save.connect(_forget_changed, sender=ApiKey)
post_delete.connect(_forget_changed, sender=ApiKey)
