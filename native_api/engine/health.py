"""The health of targets: circuits, limits and refused keys. Decides who may be called; calls nobody.

Theory of operation. What is wrong with a target is a `Trouble`, kept by the target's key, or by its provider's identity where
it concerns all of it. Most of the time there is none, and then a look costs nothing.

1. `failing`: `FAILURES` in a row opened the circuit. The target is not called for 30 s, then 60, 120, 240, 300. After that one
   request, the trial, goes through, and all others are kept away until it is known how that ended. Success closes the circuit;
   failure opens it for the next longer time.
2. A stream is a success when it ends. Its first chunk ends a trial, so that nobody waits for the length of an answer; but then
   one failure is enough to open the circuit again.
3. `limited`: the target answered 429. Until its `retry-after` is over it is called as a last resort only.
4. `refused`: 401 (for all of the provider), 402 or 403 (for that target) mean that the key does not work. A last resort too,
   with trials as for a circuit; the mark goes when a call succeeds, or when the key or the address is changed.
5. Calls that began before a trouble was found neither end it nor make it worse.
6. What is found is told to the other processes, and what they found is taken as it comes (`SharedState`). Trials are claimed
   there, so there is one trial over all. Counting failures in a row is each process's own.
7. Times are those of the wall clock, since machines share them. A trouble that seems to last longer than any can is
   taken for over: the clock was changed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from native_api.engine.troubles import SharedState, Standing, Trouble
from native_api.engine.verdicts import KEY_REFUSED, counts_against
from native_api.exceptions import DEFAULT_RETRY_AFTER, MAX_RETRY_AFTER, ProviderFault
from native_api.logs import get_logger
from native_api.types import Provider, Target

logger = get_logger("native_api.routing")

FAILURES: Final = 5
FIRST_COOL_DOWN: Final = 30.0
LAST_COOL_DOWN: Final = 300.0
LONGEST: Final = max(LAST_COOL_DOWN, MAX_RETRY_AFTER) + 30.0
"""No trouble lasts longer; the rest is for clocks that differ."""

TRIAL_SECONDS: Final = 60.0
"""How long a claim to a trial holds in case its process dies."""

PUT_OFF: Final = 1.0
"""Seconds until a process asks again whether another one's trial is over."""

FORGOTTEN_AFTER: Final = 3600.0
"""Seconds after which an old trouble that nobody looked into is dropped."""

MAX_COUNTED: Final = 4096

NotOpen = tuple[frozenset[str], frozenset[str]]
NOBODY: Final[NotOpen] = (frozenset(), frozenset())


def cool_down(level: int) -> float:
    """Seconds. Bounded before it is a number that no float holds: an outage may last for days."""
    return min(FIRST_COOL_DOWN * (1 << min(level, 10)), LAST_COOL_DOWN)


class Health:
    """What one process knows. Any thread and event loop may call it."""

    def __init__(self, shared: SharedState, clock: Callable[[], float] = time.time) -> None:
        self.troubles: dict[str, Trouble] = {}
        self._shared = shared
        self._clock = clock
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._levels: dict[str, int] = {}
        self._trials: set[str] = set()
        self._names: OrderedDict[str, None] = OrderedDict()
        self._not_open: NotOpen = NOBODY
        self._looked_at = self._look_again_at = 0.0
        self.after_fork()

    def after_fork(self) -> None:
        """A lock held by a thread that the child does not have would never be free."""
        self._lock = threading.Lock()
        self._trials.clear()
        self._changed()

    # --- looking -----------------------------------------------------------------------------------------------

    def standing(self, target: Target) -> Standing:
        if not self.troubles:
            return Standing.GOOD
        return max(self._standing(target.key), self._standing(target.provider.identity))

    def not_open(self) -> NotOpen:
        """Who is out, and who is a last resort: names of targets and providers. Worked out anew only when that may have changed."""
        if not self.troubles:
            return NOBODY
        now = self._clock()
        if not self._looked_at <= now < self._look_again_at:
            with self._lock:
                self._look(now)
        return self._not_open

    def _look(self, now: float) -> None:
        standings = {name: self._standing(name) for name in self.troubles}
        ends = [trouble.until for trouble in self.troubles.values() if trouble.until > now]
        self._not_open = (
            frozenset(name for name, standing in standings.items() if standing is Standing.OUT),
            frozenset(name for name, standing in standings.items() if standing is Standing.LAST_RESORT),
        )
        self._looked_at, self._look_again_at = now, min(ends, default=float("inf"))

    def _changed(self) -> None:
        self._look_again_at = float("-inf")

    def _standing(self, name: str) -> Standing:
        trouble = self.troubles.get(name)
        if trouble is None:
            return Standing.GOOD
        exclusive = trouble.kind == "failing"
        if self._lasts(trouble) or (name in self._trials and trouble.kind != "limited"):
            return Standing.OUT if exclusive else Standing.LAST_RESORT
        return Standing.GOOD if trouble.kind == "limited" else Standing.TRIAL

    def _lasts(self, trouble: Trouble) -> bool:
        return 0 < trouble.until - self._clock() <= LONGEST

    def wait_for(self, targets: Iterable[Target]) -> float | None:
        """Seconds until the first of these may be tried, where the circuits of all of them are open; else None."""
        waits: list[float] = []
        for target in targets:
            trouble = self.troubles.get(target.key)
            if trouble is None or self.standing(target) is not Standing.OUT:
                return None
            waits.append(trouble.until - self._clock())
        return max(PUT_OFF, min(waits)) if waits else None

    def troubles_of(self, provider: Provider) -> dict[str, Trouble]:
        """What is wrong with the provider's key (under "") and with its targets (under their models)."""
        own, found = provider.identity, dict[str, Trouble]()
        for name, trouble in list(self.troubles.items()):
            over = trouble.kind == "limited" and not self._lasts(trouble)
            if not over and (name == own or name.startswith(f"{own}/")):
                found[name[len(own) + 1 :]] = trouble
        return found

    # --- a call begins -----------------------------------------------------------------------------------------

    async def admit(self, target: Target) -> Standing | None:
        """How the target stands as this call begins; None where it must not be called. A trial is the caller's from here on."""
        self._know(target)
        standing = self.standing(target)
        if standing is Standing.TRIAL:
            return await self._trial(target)
        return None if standing is Standing.OUT else standing

    def _know(self, target: Target) -> None:
        if target.key not in self._names:
            self.know((target.key, target.provider.identity))

    def know(self, names: Iterable[str]) -> None:
        """Names to ask others about."""
        with self._lock:
            for name in names:
                self._names[name] = None
            while len(self._names) > MAX_COUNTED:
                self._names.popitem(last=False)

    def names(self) -> tuple[str, ...]:
        """What others are asked about."""
        return tuple(self._names)

    async def _trial(self, target: Target) -> Standing | None:
        with self._lock:
            names = [name for name in self._names_of(target) if self._standing(name) is Standing.TRIAL]
            self._trials.update(names)
            self._changed()
        try:
            claims = [await self._shared.claim(name, TRIAL_SECONDS) for name in names]
        except BaseException:
            self._trials.difference_update(names)
            self._changed()
            raise
        if names and all(claims):
            return Standing.TRIAL
        self._put_off(names)
        standing = self.standing(target)
        return None if standing is Standing.OUT else standing

    def _put_off(self, names: Iterable[str]) -> None:
        """The trial is another process's: its end will be told."""
        with self._lock:
            for name in names:
                self._trials.discard(name)
                trouble = self.troubles.get(name)
                if trouble is not None:
                    self.troubles[name] = replace(trouble, until=self._clock() + PUT_OFF)
            self._changed()

    @staticmethod
    def _names_of(target: Target) -> tuple[str, str]:
        return target.key, target.provider.identity

    # --- a call ends -------------------------------------------------------------------------------------------

    def began(self, target: Target, standing: Standing) -> None:
        """The first chunk of a stream is there: that ends a trial."""
        if standing is not Standing.GOOD:
            with self._lock:
                self._answers(target, standing)
                self._over(target, standing)

    def succeeded(self, target: Target, standing: Standing) -> None:
        """The whole answer is there."""
        if standing is Standing.GOOD and target.key not in self._failures:
            return
        with self._lock:
            self._failures.pop(target.key, None)
            self._levels.pop(target.key, None)
            if standing is not Standing.GOOD:
                self._over(target, standing)

    def failed(self, target: Target, standing: Standing, fault: ProviderFault) -> None:
        """The call met a fault of the provider."""
        with self._lock:
            if fault.upstream_status in KEY_REFUSED:
                self._answers(target, standing)
                self._refused(target, standing, fault)
            elif counts_against(fault):
                self._count(target, standing, fault)
            else:
                self._answers(target, standing)
            if fault.upstream_status == 429 or (fault.retry_after and counts_against(fault)):
                self._limited(target.key, fault)
            self._end_trial(target, standing)

    def left(self, target: Target, standing: Standing) -> None:
        """The call ended without showing anything."""
        if standing is Standing.TRIAL:
            with self._lock:
                self._end_trial(target, standing)

    def _end_trial(self, target: Target, standing: Standing) -> None:
        """A trial that showed nothing: another may be made."""
        if standing is Standing.TRIAL:
            for name in self._names_of(target):
                if name in self._trials:
                    self._trials.discard(name)
                    self._shared.give_up(name)
            self._changed()

    def _over(self, target: Target, standing: Standing) -> None:
        for name in self._names_of(target):
            trouble = self.troubles.get(name)
            if trouble is None or (trouble.kind == "failing" and standing is not Standing.TRIAL):
                continue
            self._forget(name)
            if trouble.kind != "limited":
                logger.info("%s is in order again.", target)

    def _forget(self, name: str) -> None:
        self._trials.discard(name)
        del self.troubles[name]
        self._changed()
        self._shared.tell(name, None)

    def _answers(self, target: Target, standing: Standing) -> None:
        """It is there, if it did not do what was asked: a circuit that was tried is closed."""
        trouble = self.troubles.get(target.key)
        if standing is Standing.TRIAL and trouble is not None and trouble.kind == "failing":
            self._failures[target.key] = FAILURES - 1
            self._levels[target.key] = trouble.level
            self._forget(target.key)

    def _count(self, target: Target, standing: Standing, fault: ProviderFault) -> None:
        key, trouble = target.key, self.troubles.get(target.key)
        if trouble is not None and trouble.kind == "failing":
            if standing is Standing.TRIAL:
                self._open(target, trouble.level + 1, fault)
            return
        self._failures[key] = self._failures.pop(key, 0) + 1
        while len(self._failures) > MAX_COUNTED:
            self._failures.popitem(last=False)
        if self._failures[key] >= FAILURES:
            self._open(target, self._levels.get(key, -1) + 1, fault)

    def _open(self, target: Target, level: int, fault: ProviderFault) -> None:
        seconds = cool_down(level)
        self._failures.pop(target.key, None)
        self._levels.pop(target.key, None)
        self._put(target.key, Trouble("failing", self._clock() + seconds, level, fault.code))
        logger.warning("%s is out of order (%s): not called for %g s.", target, fault.code, seconds)

    def _refused(self, target: Target, standing: Standing, fault: ProviderFault) -> None:
        everywhere = fault.upstream_status == 401
        name = target.provider.identity if everywhere else target.key
        trouble = self.troubles.get(name)
        if trouble is not None and trouble.kind != "limited" and standing is not Standing.TRIAL:
            return
        level = trouble.level + 1 if trouble is not None and trouble.kind == "refused" else 0
        self._put(name, Trouble("refused", self._clock() + cool_down(level), level, str(fault.upstream_status)))
        if not level:
            logger.warning("The key of %s was refused (%s).", target.provider.name if everywhere else target, fault.upstream_status)

    def _limited(self, key: str, fault: ProviderFault) -> None:
        wait = DEFAULT_RETRY_AFTER if fault.retry_after is None else fault.retry_after
        until, known = self._clock() + wait, self.troubles.get(key)
        if wait and (known is None or (known.kind == "limited" and known.until < until - PUT_OFF)):
            self._put(key, Trouble("limited", until, 0, fault.code))

    def _put(self, name: str, trouble: Trouble) -> None:
        self.troubles[name] = trouble
        self._trials.discard(name)
        self._changed()
        self._shared.tell(name, trouble)
        old = [each for each, known in self.troubles.items() if known.until < self._clock() - FORGOTTEN_AFTER]
        for each in old:
            del self.troubles[each]

    def proved(self, target: Target) -> None:
        """A check from outside the traffic had an answer: whatever was wrong is over."""
        with self._lock:
            self._failures.pop(target.key, None)
            self._levels.pop(target.key, None)
            self._over(target, Standing.TRIAL)

    # --- what others found -------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take what other processes told. To be called as a call begins; mostly returns at once."""
        changes = await self._shared.changes(self._names)
        if changes:
            self.take(changes)

    def take(self, changes: Mapping[str, Trouble | None]) -> None:
        with self._lock:
            for name, trouble in changes.items():
                if name in self._trials:
                    continue
                if trouble is None:
                    self.troubles.pop(name, None)
                else:
                    self.troubles[name] = trouble
            self._changed()
