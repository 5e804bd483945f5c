"""Half-open calls: the single calls that show whether a target works again.

Only the bookkeeping, for all callers and for single ones. `health` has the rules, holds the lock,
and makes the claims over all processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from native_api.routing.circuit import CircuitBreaker, health_names
from native_api.routing.circuit_states import OTHERS_FIRST_SECONDS
from native_api.routing.health_states import TargetState
from native_api.types import Target


class HalfOpenCalls:
    def __init__(self, breaker: CircuitBreaker) -> None:
        self._all = breaker.all
        self._callers = breaker.callers

    def is_due(self, target: Target, caller: str) -> bool:
        """Whether anything of the target is half-open, whatever else is wrong with it."""
        seen = (self._all, self._callers.get(caller) or self._all)
        return any(
            circuits.state(name) is TargetState.HALF_OPEN
            for circuits in seen
            for name in health_names(target)
        )

    def begin(self, target: Target, caller: str) -> tuple[list[str], list[str]]:
        """Returns the names that are half-open for all callers, and those for this one alone."""
        own = self._callers.get(caller)
        names = [
            name for name in health_names(target) if self._all.state(name) is TargetState.HALF_OPEN
        ]
        own_names = [
            name
            for name in health_names(target)
            if own is not None and own.state(name) is TargetState.HALF_OPEN
        ]
        for name in names:
            self._all.begin_half_open_call(name, caller)
        for name in own_names:
            self._callers.get_or_add(caller).begin_half_open_call(name, caller)
        return names, own_names

    def drop(self, names: Iterable[str], own_names: Iterable[str], caller: str) -> None:
        """Undo `begin`."""
        for name in names:
            self._all.end_half_open_call(name, caller)
        for name in own_names:
            self._callers.get_or_add(caller).end_half_open_call(name, caller)

    def postpone(self, names: Iterable[str], until: float) -> None:
        """Look again later: another process makes the call and will publish its outcome."""
        for name in names:
            incident = self._all.incidents.get(name)
            if incident is not None:
                self._all.put(name, replace(incident, until=until))

    def end(self, target: Target, caller: str) -> list[str]:
        """End an inconclusive call, so that another may be made. Returns the names for which it was
        one for all callers."""
        own = self._callers.get_or_add(caller)
        for name in health_names(target):
            own.end_half_open_call(name, caller)
        names = [
            name for name in health_names(target) if self._all.end_half_open_call(name, caller)
        ]
        inconclusive = [
            name
            for name in names
            if name not in self._all.incidents
            or not own.has_own_lasting(name, self._all.incidents[name].kind)
        ]
        self.reserve_for_others(inconclusive, caller, OTHERS_FIRST_SECONDS)
        return names

    def reserve_for_others(self, names: Iterable[str], caller: str, seconds: float) -> None:
        """Leave the next half-open call to other callers, so one caller cannot make them all.

        The reservation ends with the incident itself.
        """
        for name in names:
            incident = self._all.incidents.get(name)
            if incident is not None:
                own = self._callers.get_or_add(caller)
                own.reserve_for_others(name, incident.kind, seconds)
