"""The health of targets: circuits, rate limits and refused keys. Decides who may be called, and by
whom; calls nobody.

What is wrong with a target is an `Incident`, kept by the target's key, or by its provider's
identity if it concerns all of the provider's targets. There is one set of incidents for all
callers, and a small one for each caller who met faults lately; a call sees both. Usually there are
none, and then a look costs nothing.

1. A caller can cause most faults: a request may be answered with a 500 for its own sake, or be too
   long to be answered in time. So a fault counts for its own caller first: `MAX_FAILURES`
   consecutive ones open the circuit for that caller, whose calls go elsewhere.
2. A circuit opens for all callers if `MAX_FAILURES` consecutive failures came from `MIN_CALLERS`
   callers, if as many connections failed (`UNPROVOKED`: no caller can cause that), or if a probe of
   our own fails too. `request_probe` asks for that probe each time a circuit opens for one caller,
   so circuits also work on a site whose calls are all made with one key.
3. A target whose circuit is open is not called for 30 s, then 60, 120, 240, 300. Then the circuit
   is half-open: one call goes through, and all others are kept away until its outcome is known, but
   for `HALF_OPEN_SECONDS` at most. Success closes the circuit. A fault that the caller can have
   caused opens it again for that caller; for all callers only if a second caller's half-open call
   fails, or the probe. An inconclusive half-open call leaves the next one to other callers.
4. A stream is a success when it ends. Its first chunk ends a half-open call, so that nobody waits
   for the length of an answer; but then fewer failures open the circuit again.
5. `rate_limited`: the target answered 429, and is degraded for that caller until its `retry-after`
   is over. The rate limit belongs to a key that all callers share, so it is degraded for all too:
   as long if `MIN_CALLERS` callers were limited, else for `ONE_CALLER_LIMIT_SECONDS`, and not again
   because of the same caller within `ONE_CALLER_LIMIT_INTERVAL_SECONDS`.
6. `auth_failed`: 401 (for all of the provider), 402 or 403 (for that target) mean that the key does
   not work. The target is degraded for that caller, and for all if `MIN_CALLERS` callers or the
   probe were refused, with half-open calls as for a circuit. The incident ends when a call
   succeeds, or when the key or the address is changed.
7. When a circuit opens or closes for all, what single callers met of it is forgotten.
8. Calls that began before an incident neither end it nor make it worse.
9. What holds for all is published to the other processes, and what they publish is taken over
   (`SharedHealth`). Half-open calls are claimed there, so there is one over all processes. What a
   single caller met, and counts, stay in each process.
10. Times are wall-clock times, since machines share them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from native_api.bounded_cache import BoundedCache
from native_api.exceptions import ProviderFault
from native_api.logs import get_logger
from native_api.routing.circuit import (
    MAX_NAMES,
    CircuitBreaker,
    health_names,
    rate_limit_seconds,
)
from native_api.routing.circuit_states import (
    HALF_OPEN_SECONDS,
    MAX_COOL_DOWN_SECONDS,
    NONE_UNHEALTHY,
    POSTPONE_SECONDS,
    Circuits,
    UnhealthyNames,
)
from native_api.routing.failure_streaks import MAX_FAILURES
from native_api.routing.half_open import HalfOpenCalls
from native_api.routing.health_states import Incident, SharedHealth, TargetState
from native_api.routing.retry_policy import AUTH_FAILED_STATUSES, counts_as_failure
from native_api.types import Provider, Target

logger = get_logger("native_api.routing")


class Health:
    """The health of all targets as one process knows it. Any thread and event loop may call it.

    Callers are identified by `Caller.identity`.
    """

    def __init__(self, shared: SharedHealth, clock: Callable[[], float] = time.time) -> None:
        self.request_probe: Callable[[Target, str], None] = lambda target, caller: None
        """Asks for a probe of the target, soon, because of what this caller met.

        Its outcome comes back through `record_probe`.
        """
        self._shared = shared
        self._breaker = CircuitBreaker(clock, shared.publish)
        self._all = self._breaker.all
        self._callers = self._breaker.callers
        self._streaks = self._breaker.streaks
        self._half_open = HalfOpenCalls(self._breaker)
        self._clock = clock
        self._watched = BoundedCache[str, None](MAX_NAMES)
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock: one held by a thread of the parent would never be released."""
        self._lock = threading.Lock()
        for circuits in (self._all, *self._callers.values()):
            circuits.half_open_calls.clear()
            circuits.mark_outdated()

    def forget_all(self) -> None:
        """Take every target for healthy."""
        with self._lock:
            self._all.clear()
            self._callers.clear()

    # --- reading ---------------------------------------------------------------------------------

    @property
    def incidents(self) -> dict[str, Incident]:
        """The incidents that hold for all callers, by health name."""
        return self._all.incidents

    def state(self, target: Target, caller: str = "") -> TargetState:
        own = self._callers.get(caller)
        if own is None and not self._all.incidents:
            return TargetState.HEALTHY
        key, provider = health_names(target)
        state = max(self._all.state(key), self._all.state(provider))
        return state if own is None else max(state, own.state(key), own.state(provider))

    def unhealthy_names(self, caller: str = "") -> UnhealthyNames:
        """The names of targets and providers that are open, and of those that are degraded.

        Worked out only when that may have changed.
        """
        own = self._callers.get(caller)
        if own is None:
            return self._names_in(self._all) if self._all.incidents else NONE_UNHEALTHY
        (open_, degraded), (own_open, own_degraded) = self._names_in(self._all), self._names_in(own)
        return open_ | own_open, degraded | own_degraded

    def _names_in(self, circuits: Circuits) -> UnhealthyNames:
        if not circuits.incidents:
            return NONE_UNHEALTHY
        now = self._clock()
        if circuits.is_outdated(now):
            with self._lock:
                circuits.refresh(now)
        return circuits.unhealthy_names

    def seconds_until_half_open(self, targets: Iterable[Target], caller: str = "") -> float | None:
        """Seconds until the first of these targets may be called, if all their circuits are open;
        else None."""
        waits: list[float] = []
        for target in targets:
            if self.state(target, caller) is not TargetState.OPEN:
                return None
            waits.append(self._seconds_open(target.key, caller))
        return max(POSTPONE_SECONDS, min(waits)) if waits else None

    def _seconds_open(self, name: str, caller: str) -> float:
        if self._all.has_half_open_call(name):
            return POSTPONE_SECONDS
        own = self._callers.get(caller)
        return max(self._all.seconds_open(name), 0.0 if own is None else own.seconds_open(name))

    def incidents_for(self, provider: Provider) -> dict[str, Incident]:
        """The incidents for all callers of the provider's key (under "") and of its targets (under
        their models)."""
        identity, incidents = provider.identity, dict[str, Incident]()
        for name, incident in list(self._all.incidents.items()):
            is_over = incident.kind == "rate_limited" and not self._all.is_lasting(incident)
            if not is_over and (name == identity or name.startswith(f"{identity}/")):
                incidents[name[len(identity) + 1 :]] = incident
        return incidents

    # --- a call begins ---------------------------------------------------------------------------

    async def admit(self, target: Target, caller: str = "") -> TargetState | None:
        """The target's state as this call begins; None if it must not be called.

        HALF_OPEN means that this call is the half-open one.
        """
        self._watch_target(target)
        state = self.state(target, caller)
        if state is TargetState.HEALTHY:
            return state
        if state is not TargetState.OPEN and self._half_open.is_due(target, caller):
            return await self._claim_half_open_call(target, caller)
        return None if state is TargetState.OPEN else state

    def _watch_target(self, target: Target) -> None:
        if target.key not in self._watched:
            self.watch(health_names(target))

    def watch(self, names: Iterable[str]) -> None:
        """Pull incidents of these health names from other processes."""
        for name in names:
            self._watched[name] = None

    def watched_names(self) -> tuple[str, ...]:
        return tuple(self._watched)

    async def _claim_half_open_call(self, target: Target, caller: str) -> TargetState | None:
        with self._lock:
            names, own_names = self._half_open.begin(target, caller)
        try:
            claims = [await self._shared.claim(name, HALF_OPEN_SECONDS) for name in names]
        except BaseException:
            with self._lock:
                self._half_open.drop(names, own_names, caller)
            raise
        with self._lock:
            if (names or own_names) and all(claims):
                self._half_open.reserve_for_others(names, caller, MAX_COOL_DOWN_SECONDS)
                return TargetState.HALF_OPEN
            self._half_open.drop(names, own_names, caller)
            self._half_open.postpone(names, self._clock() + POSTPONE_SECONDS)
        state = self.state(target, caller)
        return None if state is TargetState.OPEN else state

    # --- a call ends -----------------------------------------------------------------------------

    def record_first_chunk(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The first chunk of a stream arrived: that ends a half-open call."""
        if state is not TargetState.HEALTHY:
            with self._lock:
                self._breaker.close_on_probation(target, state, caller)
                self._breaker.end_by_success(target, state, caller)

    def record_success(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The whole answer arrived."""
        if state is TargetState.HEALTHY and not self._streaks and caller not in self._callers:
            return
        with self._lock:
            self._breaker.end_streaks(target)
            own = self._callers.get(caller)
            if own is not None:
                own.reset_failures(target.key)
            if state is not TargetState.HEALTHY:
                self._breaker.end_by_success(target, state, caller)
            self._callers.drop_if_empty(caller)

    def record_failure(
        self, target: Target, state: TargetState, fault: ProviderFault, caller: str = ""
    ) -> None:
        """The call met a fault of the provider."""
        with self._lock:
            needs_probe = self._apply_fault(target, state, fault, caller)
            if fault.upstream_status == 429 or (fault.retry_after and counts_as_failure(fault)):
                self._breaker.add_rate_limit(target.key, fault, caller)
            needs_probe = self._end_half_open_call(target, state, caller) or needs_probe
            self._callers.drop_if_empty(caller)
        if needs_probe:
            self.request_probe(target, caller)

    def record_no_result(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The call ended without showing anything about the target."""
        if state is TargetState.HALF_OPEN:
            with self._lock:
                needs_probe = self._end_half_open_call(target, state, caller)
            if needs_probe:
                self.request_probe(target, caller)

    def _apply_fault(
        self, target: Target, state: TargetState, fault: ProviderFault, caller: str
    ) -> bool:
        """Note the fault. Returns whether a probe is needed to know if it concerns all callers."""
        if counts_as_failure(fault):
            return self._breaker.add_failure(target, state, fault, caller)
        key, own = target.key, self._callers.get(caller)
        if (
            own is not None
            and own.is_tripped(key)
            and state is TargetState.HALF_OPEN
            and own.has_half_open_call_by(key, caller)
        ):
            # The target answers, although it did not do what was asked.
            own.close_on_probation(key, MAX_FAILURES - 1, own.level(key, "circuit_open"))
        return fault.upstream_status in AUTH_FAILED_STATUSES and self._breaker.add_auth_failure(
            target, fault, caller
        )

    def _end_half_open_call(self, target: Target, state: TargetState, caller: str) -> bool:
        """End an inconclusive half-open call. Returns whether it was one for all callers."""
        if state is not TargetState.HALF_OPEN:
            return False
        names = self._half_open.end(target, caller)
        for name in names:
            self._shared.withdraw(name)
        return bool(names)

    # --- probes ----------------------------------------------------------------------------------

    def record_check_success(self, target: Target) -> None:
        """A check by an operator got an answer: all incidents of the target are over."""
        with self._lock:
            self._end_for_all(target, rate_limits_too=True)

    def record_probe(self, target: Target, fault: ProviderFault | None) -> None:
        """The outcome of a requested probe. No caller caused it, so it holds for all."""
        with self._lock:
            if fault is None:
                self._end_for_all(target, rate_limits_too=False)
            elif counts_as_failure(fault):
                if not self._all.has_lasting(target.key, "circuit_open"):
                    self._breaker.open(target, fault.code)
            else:
                self._apply_refused_probe(target, fault)

    def _end_for_all(self, target: Target, rate_limits_too: bool) -> None:
        self._breaker.end_streaks(target)
        for name in health_names(target):
            if self._all.is_tripped_or_unauthorized(name) or (
                rate_limits_too and name in self.incidents
            ):
                self._breaker.forget(name)
                logger.info("%s is healthy again.", target)

    def _apply_refused_probe(self, target: Target, fault: ProviderFault) -> None:
        """The target answered the probe with a refusal, so its circuit closes."""
        if self._all.is_tripped(target.key):
            self._breaker.forget(target.key)
        if fault.upstream_status in AUTH_FAILED_STATUSES:
            self._breaker.mark_auth_failed(target, fault)
        elif fault.upstream_status == 429:
            self._breaker.mark_rate_limited(target.key, rate_limit_seconds(fault), fault.code)

    # --- other processes -------------------------------------------------------------------------

    async def pull(self) -> None:
        """Take over what other processes published. Called as a call begins; mostly returns at
        once."""
        changes = await self._shared.pull(self._watched)
        if changes:
            self.apply(changes)

    def apply(self, changes: Mapping[str, Incident | None]) -> None:
        """Take over these incidents for all callers; None ends one."""
        with self._lock:
            for name, incident in changes.items():
                if self._all.has_half_open_call(name):
                    continue
                if incident is None:
                    self._all.forget(name)
                else:
                    self._all.put(name, incident)
                if incident is None or incident.kind != "rate_limited":
                    self._callers.forget(name)
