"""Shares the health of targets between processes and machines through the site's cache.

Rules:
1. The event loop never waits for the cache, and a call hardly ever does: incidents are published in
   the background, and other processes' incidents are pulled at most once a second, in the
   background too. A call waits only if nobody has pulled for `STALE_SECONDS`, for
   `MAX_PULL_WAIT_SECONDS` at most, and for the claim to a half-open call, which one call per
   cool-down makes.
2. One small key changes whenever anything does, so mostly only that one is read.
3. If the cache is down, processes just stop sharing: the state is local until it is back, and what
   could not be published is published then. What is lost in the cache (a flush) is not lost here.
4. Claims are made with `cache.add`, which is atomic in Redis, Memcached and the database cache. In
   Django's file cache it is not, so two processes may call a half-open target at the same moment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from native_api.background import site_cache
from native_api.background.test_environment import forget_between_tests
from native_api.background.threads import Call
from native_api.forks import reset_after_fork
from native_api.routing import shared_cache
from native_api.routing.circuit_states import MAX_INCIDENT_AGE_SECONDS
from native_api.routing.health_states import INCIDENT_KINDS, Incident
from native_api.routing.pool import TargetPool
from native_api.routing.shared_cache import SharedCache, digest, process_cache

CHANGE_KEY: Final = "native_api.health.changed"

PULL_INTERVAL_SECONDS: Final = 1.0
STALE_SECONDS: Final = 5.0
MAX_PULL_WAIT_SECONDS: Final = 0.05

ENDED: Final = ("ended", 0.0, 0, "")
"""How the end of an incident is stored. A missing key means nothing."""


class HealthSync:
    """`SharedHealth` over Django's cache, for all threads and event loops of the process."""

    def __init__(self, cache: SharedCache) -> None:
        self._cache = cache
        self._clock = cache.clock
        self.reset()

    def reset(self) -> None:
        """Start again, in a new process or with another cache."""
        self._lock = threading.Lock()
        self._unpublished: dict[str, Incident | None] = {}
        self._claims_to_release: set[str] = set()
        self._publishing: Call[None] | None = None
        self._last_values: dict[str, Any] = {}
        """Name -> what was read or written last."""
        self._last_change: Any = None
        self._last_name_count = 0
        self._pulled_at = float("-inf")
        self._pulling: Call[None] | None = None
        self._pulled: dict[str, Incident | None] = {}

    # --- pulling ---------------------------------------------------------------------------------

    async def pull(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """What other processes published since the last pull."""
        if not self._cache.is_usable():
            self._pulling = None
            return {}
        if self._unpublished:
            self._start_publishing()
        await self._start_pulling(names)
        return self._take_pulled()

    async def _start_pulling(self, names: Iterable[str]) -> None:
        age, pulling = self._clock() - self._pulled_at, self._pulling
        if pulling is not None and not pulling.done():
            shared_cache.threads.note_silence(pulling)
        elif age >= PULL_INTERVAL_SECONDS:
            self._pulled_at = self._clock()
            self._pulling = shared_cache.threads.submit(self._read, tuple(names))
            if age >= STALE_SECONDS:
                await shared_cache.threads.wait_briefly(MAX_PULL_WAIT_SECONDS, self._pulling)

    def _take_pulled(self) -> Mapping[str, Incident | None]:
        """What has been read, however late."""
        if not self._pulled:
            return {}
        with self._lock:
            pulled, self._pulled = self._pulled, {}
        return pulled

    def pull_now(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """`pull` for synchronous callers that can wait, such as the admin."""
        if self._cache.is_usable():
            with suppress(Exception):  # each cache backend has its own exceptions
                shared_cache.threads.run_sync(
                    shared_cache.CACHE_TIMEOUT_SECONDS, self._read, tuple(names)
                )
        return self._take_pulled()

    async def apull_now(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """`pull_now` for an event loop."""
        await self._cache.ask(None, self._read, tuple(names))
        return self._take_pulled()

    def _read(self, names: tuple[str, ...]) -> None:
        cache = site_cache.current()
        change = cache.get(CHANGE_KEY)
        if change == self._last_change and len(names) == self._last_name_count:
            return
        values = cache.get_many([_key(name) for name in names])
        self._last_change, self._last_name_count = change, len(names)
        with self._lock:
            for name in names:
                value = values.get(_key(name))
                if self._is_new(name, value):
                    self._last_values[name] = value
                    self._pulled[name] = _incident(value)

    def _is_new(self, name: str, value: Any) -> bool:
        """Whether it differs from what was read or written last."""
        return (
            value is not None
            and name not in self._unpublished
            and self._last_values.get(name) != value
            and _is_valid(value)
        )

    # --- publishing ------------------------------------------------------------------------------

    def publish(self, name: str, incident: Incident | None) -> None:
        """Publish soon, without waiting. Also ends this process's claim to `name`."""
        if not site_cache.is_shared():
            return
        with self._lock:
            self._unpublished[name] = incident
            self._claims_to_release.add(name)
        self._start_publishing()

    def withdraw(self, name: str) -> None:
        """End this process's claim to `name`."""
        if not site_cache.is_shared():
            return
        with self._lock:
            self._claims_to_release.add(name)
        self._start_publishing()

    def _start_publishing(self) -> None:
        """Start to publish, unless that is under way: it goes on until nothing is left."""
        with self._lock:
            publishing = self._publishing
            if publishing is not None and not publishing.done():
                shared_cache.threads.note_silence(publishing)
            elif self._cache.is_usable():
                self._publishing = shared_cache.threads.submit(self._publish_all)

    def _publish_all(self) -> None:
        while True:
            with self._lock:
                incidents, self._unpublished = self._unpublished, {}
                released, self._claims_to_release = self._claims_to_release, set()
                if not incidents and not released:
                    self._publishing = None
                    return
            try:
                self._write(incidents, released)
            except Exception:
                with self._lock:
                    self._unpublished = {**incidents, **self._unpublished}
                    self._publishing = None
                raise

    def _write(self, incidents: Mapping[str, Incident | None], released: Iterable[str]) -> None:
        cache = site_cache.current()
        for name, incident in incidents.items():
            value = self._last_values[name] = _value(incident)
            cache.set(_key(name), value, MAX_INCIDENT_AGE_SECONDS)
        if incidents:
            cache.set(CHANGE_KEY, os.urandom(8).hex(), None)
        cache.delete_many([_claim_key(name) for name in released])

    # --- claims ----------------------------------------------------------------------------------

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether this process may make the half-open call: yes if the cache does not answer."""
        return await self._cache.ask(True, _claim, name, seconds)


def _claim(name: str, seconds: float) -> bool:
    return bool(site_cache.current().add(_claim_key(name), 1, seconds))


def _key(name: str) -> str:
    return f"native_api.health.{digest(name)}"


def _claim_key(name: str) -> str:
    return f"native_api.claim.{digest(name)}"


# --- stored values -------------------------------------------------------------------------------


def _value(incident: Incident | None) -> tuple[str, float, int, str]:
    if incident is None:
        return ENDED
    return incident.kind, incident.until, incident.level, incident.code


def _incident(value: Any) -> Incident | None:
    return None if tuple(value) == ENDED else Incident(*value)


def _is_valid(value: Any) -> bool:
    """Whether this version can read the value."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 4
        and (value[0] in INCIDENT_KINDS or tuple(value) == ENDED)
        and isinstance(value[1], float)
        and isinstance(value[2], int)
        and isinstance(value[3], str)
    )


# --- this process --------------------------------------------------------------------------------

health_sync: Final = HealthSync(process_cache)
target_pool: Final = TargetPool(health_sync)


def refresh_health() -> None:
    """Take over what other processes published, now. For synchronous callers."""
    target_pool.health.apply(health_sync.pull_now(target_pool.health.watched_names()))


async def arefresh_health() -> None:
    """`refresh_health` for an event loop."""
    target_pool.health.apply(await health_sync.apull_now(target_pool.health.watched_names()))


reset_after_fork(health_sync.reset)
reset_after_fork(target_pool.after_fork)
forget_between_tests(target_pool.health.forget_all)
