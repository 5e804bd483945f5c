"""Opens and closes circuits: what a failure or a success changes for one caller and for all
callers.

The rules are at the head of `health`, which calls this and holds the lock. `circuit_states` keeps
the circuits and decides how long they stay open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from native_api.exceptions import DEFAULT_RETRY_AFTER, ProviderFault
from native_api.logs import get_logger
from native_api.routing.caller_circuits import CallerCircuits
from native_api.routing.circuit_states import Circuits
from native_api.routing.failure_streaks import MAX_FAILURES, FailureStreaks
from native_api.routing.health_states import Incident, IncidentKind, TargetState
from native_api.types import Target
from native_api.upstream.faults import UNPROVOKED

logger = get_logger("native_api.routing")

ONE_CALLER_LIMIT_SECONDS: Final = 10.0
ONE_CALLER_LIMIT_INTERVAL_SECONDS: Final = 60.0
"""One caller's 429 degrades a target for all callers for so long, and once in so long."""

MAX_NAMES: Final = 4096
"""Names of targets and providers."""


class CircuitBreaker:
    """The circuits of all callers together, and of each caller who met faults recently.

    `publish` is called with every incident that holds for all callers, and None at its end.
    """

    def __init__(
        self, clock: Callable[[], float], publish: Callable[[str, Incident | None], None]
    ) -> None:
        self.all = Circuits(clock, MAX_NAMES)
        self.callers = CallerCircuits(clock)
        self.streaks = FailureStreaks()
        self._publish = publish

    # --- an incident ends ------------------------------------------------------------------------

    def close_on_probation(self, target: Target, state: TargetState, caller: str) -> None:
        """Close the circuit after a half-open call, until the next failures."""
        key, own = target.key, self.callers.get(caller)
        if state is not TargetState.HALF_OPEN:
            return
        if self.all.is_tripped(key) and self.all.has_half_open_call_by(key, caller):
            level = self.all.level(key, "circuit_open")
            self.forget(key)
            self.all.close_on_probation(key, 0, level)
            self.streaks.restart_after_outage(key)
            own = self.callers.get_or_add(caller)
            own.close_on_probation(key, MAX_FAILURES - 1, level)
        elif own is not None and own.is_tripped(key) and own.has_half_open_call_by(key, caller):
            own.close_on_probation(key, MAX_FAILURES - 1, own.level(key, "circuit_open"))

    def end_by_success(self, target: Target, state: TargetState, caller: str) -> None:
        """End the incidents that a success ends, for all callers and for this one."""
        for name in health_names(target):
            if self.all.is_ended_by_success(name, state):
                if self.all.is_tripped_or_unauthorized(name):
                    logger.info("%s is healthy again.", target)
                self.forget(name)
            own = self.callers.get(caller)
            if own is not None and own.is_ended_by_success(name, state):
                own.forget(name)

    def forget(self, name: str) -> None:
        """End the incident for all callers."""
        if self.all.is_tripped_or_unauthorized(name):
            self.callers.forget(name)
        self.all.forget(name)
        self._publish(name, None)

    def end_streaks(self, target: Target) -> None:
        self.all.reset_failures(target.key)
        self.streaks.end(health_names(target))

    # --- failures --------------------------------------------------------------------------------

    def add_failure(
        self, target: Target, state: TargetState, fault: ProviderFault, caller: str
    ) -> bool:
        """Count a failure. Returns whether it opened the circuit for this caller alone."""
        key, is_half_open = target.key, state is TargetState.HALF_OPEN
        if self.all.is_tripped(key) and not (
            is_half_open and self.all.has_half_open_call_by(key, caller)
        ):
            return False
        incident, unprovoked = self.all.incidents.get(key), fault.code in UNPROVOKED
        streak = self.streaks.add("circuit_open", key, incident, caller, unprovoked)
        if streak.opens_circuit:
            self.open(target, fault.code)
            return False
        return self._add_failure_of_caller(target, is_half_open, fault, caller)

    def _add_failure_of_caller(
        self, target: Target, is_half_open: bool, fault: ProviderFault, caller: str
    ) -> bool:
        key, own = target.key, self.callers.get_or_add(caller)
        if not own.is_tripped(key):
            opens = own.add_failure(key) >= MAX_FAILURES
        else:
            opens = is_half_open and (
                own.has_half_open_call_by(key, caller) or own.is_reserved_for_others(key)
            )
        if opens:
            seconds = own.open(key, fault.code)
            logger.warning(
                "Circuit of %s opened (%s) for one caller (%s): not called for %g s.",
                target,
                fault.code,
                caller or "anonymous",
                seconds,
            )
        return opens

    def open(self, target: Target, code: str) -> None:
        """Open the circuit for all callers."""
        seconds = self.all.open(target.key, code)
        self._publish_for_all("circuit_open", target.key)
        logger.warning("Circuit of %s opened (%s): not called for %g s.", target, code, seconds)

    def _publish_for_all(self, kind: IncidentKind, name: str) -> None:
        self.streaks.end([name], [kind])
        self.callers.forget(name)
        self._publish(name, self.all.incidents[name])

    # --- refused keys ----------------------------------------------------------------------------

    def add_auth_failure(self, target: Target, fault: ProviderFault, caller: str) -> bool:
        """Note a refused key. Returns whether that is new, and known from this caller alone."""
        name, own = _refused_name(target, fault), self.callers.get_or_add(caller)
        if self.all.is_tripped_or_unauthorized(name) and not self.all.has_half_open_call_by(
            name, caller
        ):
            return False
        if self.streaks.add("auth_failed", name, self.all.incidents.get(name), caller).concerns_all:
            self.mark_auth_failed(target, fault)
            return False
        if own.is_tripped_or_unauthorized(name) and not (
            own.has_half_open_call_by(name, caller) or own.is_reserved_for_others(name)
        ):
            return False
        own.mark_auth_failed(name, str(fault.upstream_status))
        return True

    def mark_auth_failed(self, target: Target, fault: ProviderFault) -> None:
        """Note a refused key for all callers."""
        name = _refused_name(target, fault)
        if self.all.has_lasting(name, "auth_failed"):
            return
        level = self.all.mark_auth_failed(name, str(fault.upstream_status))
        self._publish_for_all("auth_failed", name)
        if not level:
            owner = target if name == target.key else target.provider.name
            logger.warning("The key of %s was refused (%s).", owner, fault.upstream_status)

    # --- rate limits -----------------------------------------------------------------------------

    def add_rate_limit(self, key: str, fault: ProviderFault, caller: str) -> None:
        seconds, own = rate_limit_seconds(fault), self.callers.get_or_add(caller)
        own.mark_rate_limited(key, seconds, fault.code)
        if self.streaks.add("rate_limited", key, None, caller).concerns_all:
            self.streaks.end([key], ["rate_limited"])
            self.mark_rate_limited(key, seconds, fault.code)
        elif fault.upstream_status == 429 and own.may_speak_for_all(
            key, ONE_CALLER_LIMIT_INTERVAL_SECONDS
        ):
            self.mark_rate_limited(key, min(seconds, ONE_CALLER_LIMIT_SECONDS), fault.code)

    def mark_rate_limited(self, key: str, seconds: float, code: str) -> None:
        """Note a rate limit for all callers."""
        if self.all.mark_rate_limited(key, seconds, code):
            self._publish(key, self.all.incidents[key])


def health_names(target: Target) -> tuple[str, str]:
    """The names of a target's incidents: its own, and its provider's, which concern all its
    targets."""
    return target.key, target.provider.identity


def _refused_name(target: Target, fault: ProviderFault) -> str:
    """A key that is unknown (401) concerns the provider; one without permission (402, 403) the
    target."""
    return target.provider.identity if fault.upstream_status == 401 else target.key


def rate_limit_seconds(fault: ProviderFault) -> float:
    """How long a rate-limited target is degraded."""
    return DEFAULT_RETRY_AFTER if fault.retry_after is None else fault.retry_after
