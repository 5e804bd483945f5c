"""What is wrong with targets, for one caller or for all: what a fault and a success change.
`health` says when, and has the lock.

The rules are those of `health`: a fault counts for its own caller first, and for all when several
callers met it, when no caller can have brought it about, or when a probe of our own met it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from native_api.exceptions import DEFAULT_RETRY_AFTER, ProviderFault
from native_api.logs import get_logger
from native_api.routing.caller_circuits import FAILURES, Callers, Rows
from native_api.routing.circuit import Circuits
from native_api.routing.health_states import Incident, Kind, TargetState
from native_api.types import Target
from native_api.upstream.faults import UNPROVOKED

logger = get_logger("native_api.routing")

ALONE: Final = 10.0
ALONE_EVERY: Final = 60.0
"""One caller's 429 makes a target a last resort for all for so many seconds, once in so many."""

MAX_KNOWN: Final = 4096
"""Names of targets and providers."""


class IncidentTracker:
    """The circuits of all callers together, and of each who met faults lately. `tell` passes on
    what holds for all."""

    def __init__(
        self, clock: Callable[[], float], tell: Callable[[str, Incident | None], None]
    ) -> None:
        self.all = Circuits(clock, MAX_KNOWN)
        self.callers = Callers(clock)
        self.rows = Rows()
        self._tell = tell

    # --- it is over --------------------------------------------------------------------------------------------

    def close_on_probation(self, target: Target, state: TargetState, caller: str) -> None:
        """The circuit that was tried is closed, until the next failures."""
        key, own = target.key, self.callers.get(caller)
        if state is not TargetState.HALF_OPEN:
            return
        if self.all.is_failing(key) and self.all.is_tried_by(key, caller):
            level = self.all.level(key, "failing")
            self.forget(key)
            self.all.close_on_probation(key, 0, level)
            self.rows.go_on_after_outage(key)
            self.callers.circuits(caller).close_on_probation(key, FAILURES - 1, level)
        elif own is not None and own.is_failing(key) and own.is_tried_by(key, caller):
            own.close_on_probation(key, FAILURES - 1, own.level(key, "failing"))

    def over(self, target: Target, state: TargetState, caller: str) -> None:
        for name in names_of(target):
            if self.all.is_ended_by(name, state):
                if self.all.is_worse_than_limited(name):
                    logger.info("%s is in order again.", target)
                self.forget(name)
            own = self.callers.get(caller)
            if own is not None and own.is_ended_by(name, state):
                own.forget(name)

    def forget(self, name: str) -> None:
        """It is over for all."""
        if self.all.is_worse_than_limited(name):
            self.callers.forget(name)
        self.all.forget(name)
        self._tell(name, None)

    def end_rows(self, target: Target) -> None:
        self.all.succeeded(target.key)
        self.rows.end(names_of(target))

    # --- it failed ---------------------------------------------------------------------------------------------

    def failed_again(
        self, target: Target, state: TargetState, fault: ProviderFault, caller: str
    ) -> bool:
        """One more failure in a row. Whether it opened the circuit for this caller alone."""
        key, is_trial = target.key, state is TargetState.HALF_OPEN
        if self.all.is_failing(key) and not (is_trial and self.all.is_tried_by(key, caller)):
            return False
        row = self.rows.add(
            "failing", key, self.all.incidents.get(key), caller, fault.code in UNPROVOKED
        )
        if row.opens_circuit:
            self.open(target, fault.code)
            return False
        own = self.callers.circuits(caller)
        if not own.is_failing(key):
            opens = own.count(key) >= FAILURES
        else:
            opens = is_trial and (own.is_tried_by(key, caller) or own.is_kept_for_others(key))
        if opens:
            seconds = own.open(key, fault.code)
            logger.warning(
                "%s is out of order (%s) for one caller (%s): not called for %g s.",
                target,
                fault.code,
                caller or "anonymous",
                seconds,
            )
        return opens

    def open(self, target: Target, code: str) -> None:
        """For all."""
        seconds = self.all.open(target.key, code)
        self._now_for_all("failing", target.key)
        logger.warning("%s is out of order (%s): not called for %g s.", target, code, seconds)

    def _now_for_all(self, kind: Kind, name: str) -> None:
        self.rows.end([name], [kind])
        self.callers.forget(name)
        self._tell(name, self.all.incidents[name])

    def refused(self, target: Target, fault: ProviderFault, caller: str) -> bool:
        """The key was refused. Whether that is news, of which only this caller tells."""
        name, own = _refused_name(target, fault), self.callers.circuits(caller)
        if self.all.is_worse_than_limited(name) and not self.all.is_tried_by(name, caller):
            return False
        if self.rows.add("refused", name, self.all.incidents.get(name), caller).met_by_several:
            self.refuse(target, fault)
            return False
        if own.is_worse_than_limited(name) and not (
            own.is_tried_by(name, caller) or own.is_kept_for_others(name)
        ):
            return False
        own.refuse(name, str(fault.upstream_status))
        return True

    def refuse(self, target: Target, fault: ProviderFault) -> None:
        """For all."""
        name = _refused_name(target, fault)
        if self.all.lasts_still(name, "refused"):
            return
        level = self.all.refuse(name, str(fault.upstream_status))
        self._now_for_all("refused", name)
        if not level:
            whose = target if name == target.key else target.provider.name
            logger.warning("The key of %s was refused (%s).", whose, fault.upstream_status)

    def limited(self, key: str, fault: ProviderFault, caller: str) -> None:
        wait, own = wait_of(fault), self.callers.circuits(caller)
        own.limit(key, wait, fault.code)
        if self.rows.add("limited", key, None, caller).met_by_several:
            self.rows.end([key], ["limited"])
            self.limit(key, wait, fault.code)
        elif fault.upstream_status == 429 and own.may_speak_for_all(key, ALONE_EVERY):
            self.limit(key, min(wait, ALONE), fault.code)

    def limit(self, key: str, seconds: float, code: str) -> None:
        """For all."""
        if self.all.limit(key, seconds, code):
            self._tell(key, self.all.incidents[key])


def names_of(target: Target) -> tuple[str, str]:
    """What its troubles are kept under: those of its own, and those of all that its provider
    has."""
    return target.key, target.provider.identity


def _refused_name(target: Target, fault: ProviderFault) -> str:
    """A key that is not known (401) is known for no model; one that may not (402, 403) may not call
    this one."""
    return target.provider.identity if fault.upstream_status == 401 else target.key


def wait_of(fault: ProviderFault) -> float:
    """Seconds for which a target that is limited is left to itself."""
    return DEFAULT_RETRY_AFTER if fault.retry_after is None else fault.retry_after
