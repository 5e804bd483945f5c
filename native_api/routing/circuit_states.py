"""The circuits of targets and providers as one party sees them: one caller, or all callers
together. How long incidents last is decided here; when a circuit opens or closes, in `circuit`.

`health` decides whom a fault concerns, and holds the lock. Names are health names: of a target
(`Target.key`), or of a provider (`Provider.identity`) if an incident concerns all its targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from native_api.exceptions import MAX_RETRY_AFTER
from native_api.routing.health_states import Incident, IncidentKind, TargetState

FIRST_COOL_DOWN_SECONDS: Final = 30.0
MAX_COOL_DOWN_SECONDS: Final = 300.0
MAX_INCIDENT_SECONDS: Final = max(MAX_COOL_DOWN_SECONDS, MAX_RETRY_AFTER) + 30.0
"""No incident lasts longer. The margin is for clocks that differ."""

HALF_OPEN_SECONDS: Final = 30.0
"""How long a half-open call keeps others away. Bounded because its process may die, and its caller
may be slow on purpose."""

POSTPONE_SECONDS: Final = 1.0
"""How long a process waits before it looks again whether another one's half-open call ended."""

OTHERS_FIRST_SECONDS: Final = 5.0
"""After an inconclusive half-open call, how long the same caller may not make another."""

RESERVED_FOR_OTHERS: Final = "reserved_for_others"
"""The code of an incident that only leaves the next half-open call to other callers."""

MAX_INCIDENT_AGE_SECONDS: Final = 3600.0
"""Age after which an ended incident that nobody looked at is dropped."""

UnhealthyNames = tuple[frozenset[str], frozenset[str]]
"""The names that are open, and those that are degraded."""
NONE_UNHEALTHY: Final[UnhealthyNames] = (frozenset(), frozenset())


def cool_down(level: int) -> float:
    """Seconds. `level` is bounded first: after days of outage the power would overflow a float."""
    return min(FIRST_COOL_DOWN_SECONDS * (1 << min(level, 10)), MAX_COOL_DOWN_SECONDS)


class Circuits:
    """Incidents and failure counts by name. Keeps at most `max_names` of each."""

    def __init__(self, clock: Callable[[], float], max_names: int) -> None:
        self.incidents: dict[str, Incident] = {}
        self.half_open_calls: dict[str, tuple[str, float]] = {}
        """Name -> the caller who makes its half-open call, and until when others are kept away."""
        self.unhealthy_names: UnhealthyNames = NONE_UNHEALTHY
        """As the last `refresh` worked it out."""
        self._clock = clock
        self._max_names = max_names
        self._failures: dict[str, int] = {}
        self._levels: dict[str, int] = {}
        self._spoke_for_all_until: dict[str, float] = {}
        self._refreshed_at = self._refresh_at = 0.0

    # --- reading ---------------------------------------------------------------------------------

    def state(self, name: str) -> TargetState:
        incident = self.incidents.get(name)
        if incident is None:
            return TargetState.HEALTHY
        if self.is_lasting(incident) or (
            incident.kind != "rate_limited" and self.has_half_open_call(name)
        ):
            return TargetState.OPEN if incident.kind == "circuit_open" else TargetState.DEGRADED
        return TargetState.HEALTHY if incident.kind == "rate_limited" else TargetState.HALF_OPEN

    def has_lasting(self, name: str, kind: IncidentKind) -> bool:
        """Whether there is an incident of this kind that is not half-open yet."""
        incident = self.incidents.get(name)
        return incident is not None and incident.kind == kind and self.is_lasting(incident)

    def has_own_lasting(self, name: str, kind: IncidentKind) -> bool:
        """`has_lasting`, and the incident does not only leave the next half-open call to others."""
        return self.has_lasting(name, kind) and not self.is_reserved_for_others(name)

    def is_tripped(self, name: str) -> bool:
        """Whether the circuit was opened and not closed again: it is open or half-open."""
        incident = self.incidents.get(name)
        return incident is not None and incident.kind == "circuit_open"

    def is_tripped_or_unauthorized(self, name: str) -> bool:
        """Whether there is an incident that is worse than a rate limit."""
        incident = self.incidents.get(name)
        return incident is not None and incident.kind != "rate_limited"

    def is_reserved_for_others(self, name: str) -> bool:
        """Whether the incident only leaves the next half-open call to other callers."""
        incident = self.incidents.get(name)
        return incident is not None and incident.code == RESERVED_FOR_OTHERS

    def is_ended_by_success(self, name: str, state: TargetState) -> bool:
        """Whether the success of a call admitted in this state ends the incident.

        A tripped circuit is closed by a half-open call only.
        """
        incident = self.incidents.get(name)
        return incident is not None and (
            incident.kind != "circuit_open" or state is TargetState.HALF_OPEN
        )

    def is_lasting(self, incident: Incident) -> bool:
        """Whether the incident has not run out.

        One that seems to last longer than any can has: the clock was changed.
        """
        return 0 < incident.until - self._clock() <= MAX_INCIDENT_SECONDS

    def seconds_open(self, name: str) -> float:
        """For how much longer the circuit is open; 0.0 if it is not."""
        return (
            max(0.0, self.incidents[name].until - self._clock()) if self.is_tripped(name) else 0.0
        )

    def has_half_open_call(self, name: str) -> bool:
        """Whether a half-open call keeps others away."""
        return name in self.half_open_calls and self._clock() < self.half_open_calls[name][1]

    def has_half_open_call_by(self, name: str, caller: str) -> bool:
        return name in self.half_open_calls and self.half_open_calls[name][0] == caller

    def level(self, name: str, kind: IncidentKind) -> int:
        """The number of consecutive cool-downs of this kind, counted from 0; -1 if there was
        none."""
        incident = self.incidents.get(name)
        if incident is not None and incident.kind == kind:
            return incident.level
        return self._levels.get(name, -1) if kind == "circuit_open" else -1

    def is_outdated(self, now: float) -> bool:
        """Whether `unhealthy_names` may have changed."""
        return not self._refreshed_at <= now < self._refresh_at

    def refresh(self, now: float) -> None:
        """Work out `unhealthy_names` again."""
        states = {name: self.state(name) for name in self.incidents}
        ends = [incident.until for incident in self.incidents.values()] + [
            until for _, until in self.half_open_calls.values()
        ]
        self.unhealthy_names = (
            frozenset(name for name, state in states.items() if state is TargetState.OPEN),
            frozenset(name for name, state in states.items() if state is TargetState.DEGRADED),
        )
        self._refreshed_at, self._refresh_at = (
            now,
            min((end for end in ends if end > now), default=float("inf")),
        )

    def mark_outdated(self) -> None:
        self._refresh_at = float("-inf")

    def is_empty(self) -> bool:
        """Whether nothing is kept here that is worth keeping."""
        return not (
            self.incidents
            or self._failures
            or any(until > self._clock() for until in self._spoke_for_all_until.values())
        )

    # --- incidents -------------------------------------------------------------------------------

    def open(self, name: str, code: str) -> float:
        """Open the circuit, for longer than the last time. Returns the seconds."""
        level = self.level(name, "circuit_open") + 1
        self.forget(name)
        self.put(name, Incident("circuit_open", self._clock() + cool_down(level), level, code))
        return cool_down(level)

    def reserve_for_others(self, name: str, kind: IncidentKind, seconds: float) -> None:
        """Leave the next half-open call to other callers for so long."""
        level = max(0, self.level(name, kind))
        self.put(name, Incident(kind, self._clock() + seconds, level, RESERVED_FOR_OTHERS))

    def mark_auth_failed(self, name: str, code: str) -> int:
        """Note that a key was refused. Returns how often in a row, counted from 0."""
        level = self.level(name, "auth_failed") + 1
        self.put(name, Incident("auth_failed", self._clock() + cool_down(level), level, code))
        return level

    def mark_rate_limited(self, name: str, seconds: float, code: str) -> bool:
        """Note a rate limit, unless there is a worse or longer incident. Returns whether that
        changed anything."""
        until, incident = self._clock() + seconds, self.incidents.get(name)
        changes = seconds > 0 and (
            incident is None
            or (incident.kind == "rate_limited" and incident.until < until - POSTPONE_SECONDS)
        )
        if changes:
            self.put(name, Incident("rate_limited", until, 0, code))
        return changes

    def put(self, name: str, incident: Incident) -> None:
        self.incidents.pop(name, None)
        self.incidents[name] = incident
        self.half_open_calls.pop(name, None)
        self.mark_outdated()
        self._drop_old_incidents()

    def _drop_old_incidents(self) -> None:
        too_old = self._clock() - MAX_INCIDENT_AGE_SECONDS
        for name in [name for name, incident in self.incidents.items() if incident.until < too_old]:
            self.forget(name)
        while len(self.incidents) > self._max_names:
            self.forget(next(iter(self.incidents)))

    def forget(self, name: str) -> None:
        """Drop everything that is kept for this name."""
        self.incidents.pop(name, None)
        self.half_open_calls.pop(name, None)
        self._failures.pop(name, None)
        self._levels.pop(name, None)
        self.mark_outdated()

    def clear(self) -> None:
        for name in {*self.incidents, *self._failures, *self._levels}:
            self.forget(name)

    # --- consecutive failures --------------------------------------------------------------------

    def add_failure(self, name: str) -> int:
        """Count one more consecutive failure. Returns how many there are."""
        return self._set_failures(name, self._failures.pop(name, 0) + 1)

    def close_on_probation(self, name: str, failures: int, level: int) -> None:
        """Close the circuit as if there had been so many failures.

        If it opens again, it is for longer than at `level`.
        """
        self.forget(name)
        self._levels[name] = level
        self._set_failures(name, failures)

    def _set_failures(self, name: str, failures: int) -> int:
        self._failures[name] = failures
        while len(self._failures) > self._max_names:
            oldest = next(iter(self._failures))
            del self._failures[oldest]
            self._levels.pop(oldest, None)
        return failures

    def reset_failures(self, name: str) -> None:
        self._failures.pop(name, None)
        self._levels.pop(name, None)

    # --- half-open calls -------------------------------------------------------------------------

    def begin_half_open_call(self, name: str, caller: str) -> None:
        self.half_open_calls[name] = caller, self._clock() + HALF_OPEN_SECONDS
        self.mark_outdated()

    def end_half_open_call(self, name: str, caller: str) -> bool:
        """End the half-open call if it is this caller's. Returns whether it was."""
        if not self.has_half_open_call_by(name, caller):
            return False
        del self.half_open_calls[name]
        self.mark_outdated()
        return True

    # --- for one caller's circuits ---------------------------------------------------------------

    def may_speak_for_all(self, name: str, seconds: float) -> bool:
        """Whether this caller's fault may count for all callers: once in so many seconds."""
        now = self._clock()
        if self._spoke_for_all_until.get(name, now) > now:
            return False
        self._spoke_for_all_until = {
            key: until for key, until in self._spoke_for_all_until.items() if until > now
        }
        if len(self._spoke_for_all_until) >= self._max_names:
            return False
        self._spoke_for_all_until[name] = now + seconds
        return True
