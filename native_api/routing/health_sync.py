"""What processes and machines tell each other through Django's cache: the health of targets, the
tiers of conversations.

Rules:
1. Nothing here is waited for by the event loop, and hardly anything by a call: what is found is
   passed on behind it, what others found is asked for at most once a second, behind it too. Only
   where nobody asked for `STALE` seconds does a call wait for the answer, `GLANCE` at the most, and
   for a claim to a trial, which one call in a cool-down makes.
2. One small key changes whenever anything does, so that there is mostly only that to read.
3. A cache that fails or hangs costs nothing but sharing: the state is local until it is back, and
   what could not be told is told then. One warning a minute. What is lost there (a flush) is not
   lost here.
4. A cache in the memory of this process, or none, is not used at all: there is nobody to tell.
5. Claims are made with `cache.add`, which is one step in Redis, Memcached and the database cache.
   In Django's file cache it is two, so there two processes may try at the same moment.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any, Final, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed

from native_api import background
from native_api.logs import get_logger
from native_api.routing.circuit import FORGOTTEN_AFTER
from native_api.routing.health_states import KINDS, Incident
from native_api.routing.pool import TargetPool

T = TypeVar("T")

logger = get_logger("native_api.routing")

IN_PROCESS: Final = frozenset(
    {"django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache"}
)
ALIAS: Final = "default"
CHANGED: Final = "native_api.health.changed"

EVERY: Final = 1.0
"""Seconds between two questions."""

STALE: Final = 5.0
GLANCE: Final = 0.05
PATIENCE: Final = 1.0
RETRY: Final = 2.0
WARN_EVERY: Final = 60.0

TIER_SECONDS: Final = 24 * 3600
"""How long a conversation's tier is remembered after it was last used."""

TIERS_KEPT: Final = 10_000

OVER: Final = ("over", 0.0, 0, "")
"""How the end of a trouble is written. A key that is missing says nothing."""

_threads: Final = background.Threads("native-api-shared", 2)


class HealthSync:
    """`incidents.SharedState` over Django's cache, for all threads and event loops of the
    process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tiers: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._warned_at = float("-inf")
        self.start_anew()

    def start_anew(self) -> None:
        """In a new process, or with another cache."""
        self._lock = threading.Lock()
        self._untold: dict[str, Incident | None] = {}
        self._to_release: set[str] = set()
        self._seen: dict[str, Any] = {}
        self._change: Any = None
        self._asked_for = 0
        self._asked_at = float("-inf")
        self._question: Future[None] | None = None
        self._news: dict[str, Incident | None] = {}
        self._telling: Future[None] | None = None
        self._telling_since = 0.0
        self._use_again_at = float("-inf")
        self._alone: bool | None = None

    def is_alone(self) -> bool:
        """Whether there is no cache to share."""
        if self._alone is None:
            self._alone = settings.CACHES.get(ALIAS, {}).get("BACKEND") in IN_PROCESS
        return self._alone

    def _usable(self) -> bool:
        return not self.is_alone() and self._clock() >= self._use_again_at

    # --- asking ------------------------------------------------------------------------------------------------

    async def changes(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """What others told since the last time."""
        if not self._usable():
            return {}
        if self._untold and self._telling is None:
            self._tell_all()
        await self._keep_asking(names)
        return self._take_news()

    async def _keep_asking(self, names: Iterable[str]) -> None:
        silence, question = self._clock() - self._asked_at, self._question
        if question is not None and not question.done():
            if silence > PATIENCE:
                self._question = None
                self._hangs()
        elif silence >= EVERY:
            self._asked_at = self._clock()
            self._question = _threads.submit(self._ask, tuple(names))
            if silence >= STALE:
                await _threads.glance(GLANCE, self._question)

    def _take_news(self) -> Mapping[str, Incident | None]:
        """What came in, however late."""
        if not self._news:
            return {}
        with self._lock:
            news, self._news = self._news, {}
        return news

    def ask_now(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """`changes` for synchronous callers that can wait, such as the admin."""
        if self._usable():
            try:
                _threads.result(PATIENCE, self._ask, tuple(names))
            except background.HangingCall:
                self._hangs(leave_behind=False)
        return self._take_news()

    def _ask(self, names: tuple[str, ...]) -> None:
        cache = caches[ALIAS]
        try:
            change = cache.get(CHANGED)
            if change == self._change and len(names) == self._asked_for:
                return
            found = cache.get_many([_key(name) for name in names])
        except Exception as error:  # each cache backend has exceptions of its own
            self._fails(error)
            return
        self._change, self._asked_for = change, len(names)
        with self._lock:
            for name in names:
                value = found.get(_key(name))
                if self._is_new(name, value):
                    self._seen[name] = value
                    self._news[name] = _trouble(value)

    def _is_new(self, name: str, value: Any) -> bool:
        """Whether it differs from what was read or told last."""
        return (
            value is not None
            and name not in self._untold
            and self._seen.get(name) != value
            and _is_sound(value)
        )

    # --- telling -----------------------------------------------------------------------------------------------

    def tell(self, name: str, incident: Incident | None) -> None:
        if self.is_alone():
            return
        with self._lock:
            self._untold[name] = incident
            self._to_release.add(name)
        self._tell_all()

    def give_up(self, name: str) -> None:
        if self.is_alone():
            return
        with self._lock:
            self._to_release.add(name)
        self._tell_all()

    def _tell_all(self) -> None:
        """Start telling, unless that is under way already: it goes on until there is nothing
        left."""
        with self._lock:
            telling = self._telling
            if telling is not None and not telling.done():
                if self._clock() - self._telling_since > PATIENCE:
                    self._telling = None
                    self._hangs()
                return
            if self._usable():
                self._telling_since = self._clock()
                self._telling = _threads.submit(self._tell)

    def _tell(self) -> None:
        while True:
            with self._lock:
                told, self._untold = self._untold, {}
                released, self._to_release = self._to_release, set()
                if not told and not released:
                    self._telling = None
                    return
            try:
                self._write(told, released)
            except Exception as error:  # each cache backend has exceptions of its own
                with self._lock:
                    self._untold = {**told, **self._untold}
                    self._telling = None
                self._fails(error)
                return

    def _write(self, told: Mapping[str, Incident | None], released: Iterable[str]) -> None:
        cache = caches[ALIAS]
        for name, incident in told.items():
            value = (
                OVER
                if incident is None
                else (incident.kind, incident.until, incident.level, incident.code)
            )
            self._seen[name] = value
            cache.set(_key(name), value, FORGOTTEN_AFTER)
        if told:
            cache.set(CHANGED, os.urandom(8).hex(), None)
        cache.delete_many([_claim(name) for name in released])

    # --- claims ------------------------------------------------------------------------------------------------

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether the trial is this process's: where the cache cannot say, it is."""
        return bool(await self._asked(True, _claimed, name, seconds))

    async def _asked(self, otherwise: T, question: Callable[..., T], *args: Any) -> T:
        if not self._usable():
            return otherwise
        try:
            return await _threads.run(PATIENCE, question, *args)
        except background.HangingCall:
            self._hangs(leave_behind=False)
        except Exception as error:  # each cache backend has exceptions of its own
            self._fails(error)
        return otherwise

    # --- tiers -------------------------------------------------------------------------------------------------

    async def raised(self, conversation: str, tier: int, highest: int) -> int:
        """The highest tier that was told for this conversation, the present one included. Best
        effort, kept for a day."""
        name = _digest(conversation)
        known, until = self._tiers.get(name, (0, 0.0))
        tier = max(tier, known if until > self._clock() else 0)
        if not self.is_alone():
            tier = max(tier, await self._asked(tier, _raised, name, tier, highest))
        self._tiers[name] = (tier, self._clock() + TIER_SECONDS)
        self._tiers.move_to_end(name)
        while len(self._tiers) > TIERS_KEPT:
            self._tiers.popitem(last=False)
        return tier

    # --- a cache that is out of order --------------------------------------------------------------------------

    def _hangs(self, leave_behind: bool = True) -> None:
        if leave_behind:
            _threads.leave_behind()
        self._fails(background.HangingCall(f"no answer in {PATIENCE:g} s"))

    def _fails(self, error: Exception) -> None:
        now = self._clock()
        self._use_again_at = now + RETRY
        if now - self._warned_at > WARN_EVERY:
            self._warned_at = now
            told = f"{type(error).__name__}: {error}"[:200]
            logger.warning(
                "The cache cannot be used (%s); what targets are out of order, each process finds out by itself.",
                told,
            )


def _claimed(name: str, seconds: float) -> bool:
    return bool(caches[ALIAS].add(_claim(name), 1, seconds))


def _raised(name: str, tier: int, highest: int) -> int:
    cache, key = caches[ALIAS], f"native_api.tier.{name}"
    told = 0 if tier >= highest else cache.get(key)
    tier = max(tier, told if isinstance(told, int) else 0)
    cache.set(key, min(tier, highest), TIER_SECONDS)
    return min(tier, highest)


def _key(name: str) -> str:
    """Names may hold anything, cache keys may not."""
    return f"native_api.health.{_digest(name)}"


def _claim(name: str) -> str:
    return f"native_api.trial.{_digest(name)}"


def _digest(name: str) -> str:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _is_sound(value: Any) -> bool:
    """Whether this version can read it."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 4
        and (value[0] in KINDS or tuple(value) == OVER)
        and isinstance(value[1], float)
        and isinstance(value[2], int)
        and isinstance(value[3], str)
    )


def _trouble(value: Any) -> Incident | None:
    return None if tuple(value) == OVER else Incident(*value)


# --- the process's own -------------------------------------------------------------------------------------

sync: Final = HealthSync()
pool: Final = TargetPool(sync)


def hear() -> None:
    """Take what others told, now. For synchronous callers."""
    pool.health.take(sync.ask_now(pool.health.names()))


def _after_fork() -> None:
    sync.start_anew()
    pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _start_anew_on_setting(*, setting: str, **kwargs: Any) -> None:
    if setting == "CACHES":
        sync.start_anew()


setting_changed.connect(_start_anew_on_setting)
