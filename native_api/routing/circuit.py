"""The circuits of targets as one party sees them: one caller, or all callers together. Knows how
long what lasts.

Whom a fault concerns is decided by `health`, which also has the lock. Names are those of targets
(`Target.key`) or of providers (`Provider.identity`), where a trouble concerns all that a provider
has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from native_api.exceptions import MAX_RETRY_AFTER
from native_api.routing.health_states import Incident, Kind, TargetState

FIRST_COOL_DOWN: Final = 30.0
LAST_COOL_DOWN: Final = 300.0
LONGEST: Final = max(LAST_COOL_DOWN, MAX_RETRY_AFTER) + 30.0
"""No trouble lasts longer; the rest is for clocks that differ."""

TRIAL_SECONDS: Final = 30.0
"""How long a trial keeps others away: its process may die, and its caller may be slow on
purpose."""

PUT_OFF: Final = 1.0
"""Seconds until a process asks again whether another one's trial is over."""

OTHERS_FIRST: Final = 5.0
"""Seconds after a trial that showed nothing until the same caller may make another."""

TRIED: Final = "trial"
"""The code of a trouble that is only there to leave the next trial to other callers."""

FORGOTTEN_AFTER: Final = 3600.0
"""Seconds after which an old trouble that nobody looked into is dropped."""

NotOpen = tuple[frozenset[str], frozenset[str]]
NOBODY: Final[NotOpen] = (frozenset(), frozenset())


def cool_down(level: int) -> float:
    """Seconds. Bounded before it is a number that no float holds: an outage may last for days."""
    return min(FIRST_COOL_DOWN * (1 << min(level, 10)), LAST_COOL_DOWN)


class Circuits:
    """What is wrong with targets and providers. Keeps at most `bound` troubles, and as many
    counts."""

    def __init__(self, clock: Callable[[], float], bound: int) -> None:
        self.incidents: dict[str, Incident] = {}
        self.trials: dict[str, tuple[str, float]] = {}
        """Who makes the trial of a name, and until when others are kept away for it."""
        self.not_open: NotOpen = NOBODY
        """Who is out, and who is a last resort, as `look` found it."""
        self._clock = clock
        self._bound = bound
        self._failures: dict[str, int] = {}
        self._levels: dict[str, int] = {}
        self._spoke_for_all: dict[str, float] = {}
        self._looked_at = self._look_again_at = 0.0

    # --- looking -----------------------------------------------------------------------------------------------

    def state(self, name: str) -> TargetState:
        incident = self.incidents.get(name)
        if incident is None:
            return TargetState.HEALTHY
        if self.lasts(incident) or (incident.kind != "limited" and self.is_tried(name)):
            return TargetState.OPEN if incident.kind == "failing" else TargetState.DEGRADED
        return TargetState.HEALTHY if incident.kind == "limited" else TargetState.HALF_OPEN

    def lasts_still(self, name: str, kind: Kind) -> bool:
        """Whether such a trouble is known, and is not to be tried yet."""
        incident = self.incidents.get(name)
        return incident is not None and incident.kind == kind and self.lasts(incident)

    def lasts_for_itself(self, name: str, kind: Kind) -> bool:
        """The same, and it is not there only to leave the next trial to other callers."""
        return self.lasts_still(name, kind) and not self.is_kept_for_others(name)

    def is_failing(self, name: str) -> bool:
        incident = self.incidents.get(name)
        return incident is not None and incident.kind == "failing"

    def is_worse_than_limited(self, name: str) -> bool:
        incident = self.incidents.get(name)
        return incident is not None and incident.kind != "limited"

    def is_kept_for_others(self, name: str) -> bool:
        """Whether the trouble is there only to leave the next trial to other callers."""
        incident = self.incidents.get(name)
        return incident is not None and incident.code == TRIED

    def is_ended_by(self, name: str, state: TargetState) -> bool:
        """Whether the success of a call that began with this standing ends the trouble: an open
        circuit needs a trial."""
        incident = self.incidents.get(name)
        return incident is not None and (
            incident.kind != "failing" or state is TargetState.HALF_OPEN
        )

    def lasts(self, incident: Incident) -> bool:
        """A trouble that seems to last longer than any can is over: the clock was changed."""
        return 0 < incident.until - self._clock() <= LONGEST

    def seconds_open(self, name: str) -> float:
        """For how much longer the circuit is open; 0.0 if it is not."""
        return (
            max(0.0, self.incidents[name].until - self._clock()) if self.is_failing(name) else 0.0
        )

    def is_tried(self, name: str) -> bool:
        """Whether a trial keeps others away."""
        return name in self.trials and self._clock() < self.trials[name][1]

    def is_tried_by(self, name: str, caller: str) -> bool:
        return name in self.trials and self.trials[name][0] == caller

    def level(self, name: str, kind: Kind) -> int:
        """The number of cool-downs in a row of this kind, counted from 0; -1 if there was none."""
        incident = self.incidents.get(name)
        if incident is not None and incident.kind == kind:
            return incident.level
        return self._levels.get(name, -1) if kind == "failing" else -1

    def is_outdated(self, now: float) -> bool:
        """Whether `not_open` may have changed."""
        return not self._looked_at <= now < self._look_again_at

    def look(self, now: float) -> None:
        """Work `not_open` out again."""
        states = {name: self.state(name) for name in self.incidents}
        ends = [incident.until for incident in self.incidents.values()] + [
            until for _, until in self.trials.values()
        ]
        self.not_open = (
            frozenset(name for name, state in states.items() if state is TargetState.OPEN),
            frozenset(name for name, state in states.items() if state is TargetState.DEGRADED),
        )
        self._looked_at, self._look_again_at = (
            now,
            min((end for end in ends if end > now), default=float("inf")),
        )

    def changed(self) -> None:
        self._look_again_at = float("-inf")

    def is_empty(self) -> bool:
        """Whether nothing is known here that is worth keeping."""
        return not (
            self.incidents
            or self._failures
            or any(until > self._clock() for until in self._spoke_for_all.values())
        )

    # --- troubles ----------------------------------------------------------------------------------------------

    def open(self, name: str, code: str) -> float:
        """Open the circuit, for longer than the last time. Returns the seconds."""
        level = self.level(name, "failing") + 1
        self.forget(name)
        self.put(name, Incident("failing", self._clock() + cool_down(level), level, code))
        return cool_down(level)

    def keep_for_others(self, name: str, kind: Kind, seconds: float) -> None:
        """After a trial for all: leave the next one to other callers."""
        self.put(
            name, Incident(kind, self._clock() + seconds, max(0, self.level(name, kind)), TRIED)
        )

    def refuse(self, name: str, code: str) -> int:
        """Note that a key was refused. Returns how often in a row, counted from 0."""
        level = self.level(name, "refused") + 1
        self.put(name, Incident("refused", self._clock() + cool_down(level), level, code))
        return level

    def limit(self, name: str, seconds: float, code: str) -> bool:
        """Note a rate limit, unless something worse or longer is known. Whether that changed
        anything."""
        until, known = self._clock() + seconds, self.incidents.get(name)
        changes = seconds > 0 and (
            known is None or (known.kind == "limited" and known.until < until - PUT_OFF)
        )
        if changes:
            self.put(name, Incident("limited", until, 0, code))
        return changes

    def put(self, name: str, incident: Incident) -> None:
        self.incidents.pop(name, None)
        self.incidents[name] = incident
        self.trials.pop(name, None)
        self.changed()
        self._drop_what_is_old()

    def _drop_what_is_old(self) -> None:
        forgotten = self._clock() - FORGOTTEN_AFTER
        for name in [
            name for name, incident in self.incidents.items() if incident.until < forgotten
        ]:
            self.forget(name)
        while len(self.incidents) > self._bound:
            self.forget(next(iter(self.incidents)))

    def forget(self, name: str) -> None:
        """Everything that is known of this name."""
        self.incidents.pop(name, None)
        self.trials.pop(name, None)
        self._failures.pop(name, None)
        self._levels.pop(name, None)
        self.changed()

    # --- failures in a row -------------------------------------------------------------------------------------

    def count(self, name: str) -> int:
        """One more failure in a row. Returns how many there are."""
        return self._counted(name, self._failures.pop(name, 0) + 1)

    def close_on_probation(self, name: str, failures: int, level: int) -> None:
        """The circuit is closed as if there had been so many failures. If it opens again, it is for
        longer than at `level`."""
        self.forget(name)
        self._levels[name] = level
        self._counted(name, failures)

    def _counted(self, name: str, failures: int) -> int:
        self._failures[name] = failures
        while len(self._failures) > self._bound:
            oldest = next(iter(self._failures))
            del self._failures[oldest]
            self._levels.pop(oldest, None)
        return failures

    def succeeded(self, name: str) -> None:
        self._failures.pop(name, None)
        self._levels.pop(name, None)

    # --- trials ------------------------------------------------------------------------------------------------

    def begin_trial(self, name: str, caller: str) -> None:
        self.trials[name] = caller, self._clock() + TRIAL_SECONDS
        self.changed()

    def end_trial(self, name: str, caller: str) -> bool:
        """Whether it was this caller's."""
        if not self.is_tried_by(name, caller):
            return False
        del self.trials[name]
        self.changed()
        return True

    # --- of one caller -----------------------------------------------------------------------------------------

    def may_speak_for_all(self, name: str, seconds: float) -> bool:
        """Whether what this caller met may concern all callers: once in so many seconds."""
        now = self._clock()
        if self._spoke_for_all.get(name, now) > now:
            return False
        self._spoke_for_all = {
            each: until for each, until in self._spoke_for_all.items() if until > now
        }
        if len(self._spoke_for_all) >= self._bound:
            return False
        self._spoke_for_all[name] = now + seconds
        return True
