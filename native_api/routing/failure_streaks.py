"""Consecutive faults over all callers, which show whether a fault concerns everybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from native_api.bounded_cache import BoundedCache
from native_api.routing.health_states import INCIDENT_KINDS, Incident, IncidentKind

MAX_FAILURES: Final = 5
"""Consecutive failures that open a circuit."""

MIN_CALLERS: Final = 3
"""The number of callers whose faults count for all callers."""

MAX_STREAKS: Final = 4096

CALLER_BEFORE: Final = "before"
"""Stands for the callers who met an outage before its half-open call."""


@dataclass(slots=True)
class FailureStreak:
    """Consecutive faults of one kind."""

    failures: int = 0
    unprovoked: int = 0
    """Those that no caller can bring about (`faults.UNPROVOKED`)."""
    callers: set[str] = field(default_factory=set)

    def add(self, caller: str, unprovoked: bool = False) -> None:
        self.failures += 1
        self.unprovoked += unprovoked
        self.callers.add(caller)

    @property
    def concerns_all(self) -> bool:
        return len(self.callers) >= MIN_CALLERS

    @property
    def opens_circuit(self) -> bool:
        return self.unprovoked >= MAX_FAILURES or (
            self.failures >= MAX_FAILURES and self.concerns_all
        )


def streak_after_outage() -> FailureStreak:
    """Two more callers open the circuit again, or one more failed connection."""
    return FailureStreak(MAX_FAILURES - 2, MAX_FAILURES - 1, {CALLER_BEFORE})


class FailureStreaks(BoundedCache[tuple[IncidentKind, str], FailureStreak]):
    """Streaks by kind, and by name of a target or provider."""

    def __init__(self) -> None:
        super().__init__(MAX_STREAKS)

    def add(
        self,
        kind: IncidentKind,
        name: str,
        incident: Incident | None,
        caller: str,
        unprovoked: bool = False,
    ) -> FailureStreak:
        """Count one more fault and return its streak. `incident` is the one for all callers, if
        any."""
        streak = self.get((kind, name))
        if streak is None:
            is_known = incident is not None and incident.kind == kind != "rate_limited"
            streak = streak_after_outage() if is_known else FailureStreak()
        streak.add(caller, unprovoked)
        self[kind, name] = streak
        return streak

    def restart_after_outage(self, name: str) -> None:
        self["circuit_open", name] = streak_after_outage()

    def end(self, names: Iterable[str], kinds: Iterable[IncidentKind] = INCIDENT_KINDS) -> None:
        for name in names:
            for kind in kinds:
                self.discard((kind, name))
