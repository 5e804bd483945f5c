"""The health of targets: circuits, limits and refused keys. Decides who may be called, and by whom;
calls nobody.

Theory of operation. What is wrong with a target is a `Incident`, kept by the target's key, or by
its provider's identity if it concerns all of it. There is one set of troubles for all callers, and
a small one for each caller who met faults lately. A call sees both. Most of the time there is no
trouble, and then a look costs nothing.

1. A caller can bring about most faults: a request may be answered with a 500 for its own sake, or
   be too long to be answered in time. So a fault counts for its own caller first: `FAILURES` in a
   row open the circuit for that caller, who is diverted.
2. A circuit opens for all callers if `FAILURES` in a row were met by `SEVERAL` callers, if as many
   connections failed (`UNPROVOKED`: no caller can bring that about), or if a probe of our own fails
   too. `doubt` asks for that probe each time a circuit opens for one caller, so a site whose calls
   are all made with one key has its circuits as well.
3. A target whose circuit is open is not called for 30 s, then 60, 120, 240, 300. After that one
   request, the trial, goes through and all others are kept away until it is known how that ended,
   but for `TRIAL_SECONDS` at the most. Success closes the circuit. A fault that the caller can have
   brought about opens it again for that caller; for all only if a second caller's trial fails, or
   the probe. A trial that shows nothing leaves the next one to other callers.
4. A stream is a success when it ends. Its first chunk ends a trial, so that nobody waits for the
   length of an answer; but then fewer failures open the circuit again.
5. `limited`: the target answered 429, and is a last resort for that caller until its `retry-after`
   is over. The rate is that of a key which all share, so it is a last resort for all too: as long
   if `SEVERAL` callers were limited, else for `ALONE` seconds, and not again for the same caller's
   sake within `ALONE_EVERY`.
6. `refused`: 401 (for all of the provider), 402 or 403 (for that target) mean that the key does not
   work. A last resort for that caller, and for all if `SEVERAL` callers or the probe were refused,
   with trials as for a circuit. The mark goes when a call succeeds, or when the key or the address
   is changed.
7. When a circuit opens or closes for all, what single callers had met of it is forgotten.
8. Calls that began before a trouble was found neither end it nor make it worse.
9. What holds for all is told to the other processes, and what they found is taken as it comes
   (`SharedState`). Trials are claimed there, so there is one trial over all. What a single caller
   met, and counts, are each process's own.
10. Times are those of the wall clock, since machines share them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from native_api.exceptions import ProviderFault
from native_api.logs import get_logger
from native_api.routing.caller_circuits import FAILURES
from native_api.routing.circuit import (
    LAST_COOL_DOWN,
    NOBODY,
    OTHERS_FIRST,
    PUT_OFF,
    TRIAL_SECONDS,
    Circuits,
    NotOpen,
)
from native_api.routing.health_states import Incident, SharedState, TargetState
from native_api.routing.incidents import MAX_KNOWN, IncidentTracker, names_of, wait_of
from native_api.routing.retry_policy import KEY_REFUSED, counts_against
from native_api.types import Provider, Target

logger = get_logger("native_api.routing")


class Health:
    """What one process knows. Any thread and event loop may call it. Callers are named by
    `Caller.identity`."""

    def __init__(self, shared: SharedState, clock: Callable[[], float] = time.time) -> None:
        self.doubt: Callable[[Target, str], None] = lambda target, caller: None
        """Asks for a probe of the target, some time soon, because of what this caller met. Its end
        is told by `probed`."""
        self._shared = shared
        self._incidents = IncidentTracker(clock, shared.tell)
        self._all = self._incidents.all
        self._callers = self._incidents.callers
        self._rows = self._incidents.rows
        self._clock = clock
        self._names: OrderedDict[str, None] = OrderedDict()
        self.after_fork()

    def after_fork(self) -> None:
        """A lock held by a thread that the child does not have would never be free."""
        self._lock = threading.Lock()
        for circuits in (self._all, *self._callers.values()):
            circuits.trials.clear()
            circuits.changed()

    # --- looking -----------------------------------------------------------------------------------------------

    @property
    def incidents(self) -> dict[str, Incident]:
        """What holds for all callers."""
        return self._all.incidents

    def state(self, target: Target, caller: str = "") -> TargetState:
        own = self._callers.get(caller)
        if own is None and not self._all.incidents:
            return TargetState.HEALTHY
        key, provider = names_of(target)
        state = max(self._all.state(key), self._all.state(provider))
        return state if own is None else max(state, own.state(key), own.state(provider))

    def not_open(self, caller: str = "") -> NotOpen:
        """Who is out, and who is a last resort: names of targets and providers. Worked out anew
        only when that may have changed."""
        own = self._callers.get(caller)
        if own is None:
            return self._look(self._all) if self._all.incidents else NOBODY
        (out, last_resorts), (out_for_one, last_resorts_for_one) = (
            self._look(self._all),
            self._look(own),
        )
        return out | out_for_one, last_resorts | last_resorts_for_one

    def _look(self, circuits: Circuits) -> NotOpen:
        if not circuits.incidents:
            return NOBODY
        now = self._clock()
        if circuits.is_outdated(now):
            with self._lock:
                circuits.look(now)
        return circuits.not_open

    def wait_for(self, targets: Iterable[Target], caller: str = "") -> float | None:
        """Seconds until the first of these may be tried, if the circuits of all of them are open;
        else None."""
        waits: list[float] = []
        for target in targets:
            if self.state(target, caller) is not TargetState.OPEN:
                return None
            waits.append(self._wait(target.key, caller))
        return max(PUT_OFF, min(waits)) if waits else None

    def _wait(self, name: str, caller: str) -> float:
        if self._all.is_tried(name):
            return PUT_OFF
        own = self._callers.get(caller)
        return max(self._all.seconds_open(name), 0.0 if own is None else own.seconds_open(name))

    def incidents_of(self, provider: Provider) -> dict[str, Incident]:
        """What is wrong, for all callers, with the provider's key (under "") and with its targets
        (under their models)."""
        own, found = provider.identity, dict[str, Incident]()
        for name, incident in list(self._all.incidents.items()):
            over = incident.kind == "limited" and not self._all.lasts(incident)
            if not over and (name == own or name.startswith(f"{own}/")):
                found[name[len(own) + 1 :]] = incident
        return found

    # --- a call begins -----------------------------------------------------------------------------------------

    async def admit(self, target: Target, caller: str = "") -> TargetState | None:
        """How the target stands as this call begins; None if it must not be called. A trial is the
        caller's from here on."""
        self._know(target)
        state = self.state(target, caller)
        if state is TargetState.HEALTHY:
            return state
        if state is not TargetState.OPEN and self._is_due(target, caller):
            return await self._trial(target, caller)
        return None if state is TargetState.OPEN else state

    def _is_due(self, target: Target, caller: str) -> bool:
        """Whether the call would be a trial, whatever else there is."""
        seen = (self._all, self._callers.get(caller) or self._all)
        return any(
            circuits.state(name) is TargetState.HALF_OPEN
            for circuits in seen
            for name in names_of(target)
        )

    def _know(self, target: Target) -> None:
        if target.key not in self._names:
            self.know(names_of(target))

    def know(self, names: Iterable[str]) -> None:
        """Names to ask others about."""
        with self._lock:
            for name in names:
                self._names[name] = None
            while len(self._names) > MAX_KNOWN:
                self._names.popitem(last=False)

    def names(self) -> tuple[str, ...]:
        """What others are asked about."""
        return tuple(self._names)

    async def _trial(self, target: Target, caller: str) -> TargetState | None:
        with self._lock:
            names, names_for_one = self._begin_trials(target, caller)
        try:
            claims = [await self._shared.claim(name, TRIAL_SECONDS) for name in names]
        except BaseException:
            with self._lock:
                self._drop_trials(names, names_for_one, caller)
            raise
        with self._lock:
            if (names or names_for_one) and all(claims):
                self._leave_the_next_to_others(names, caller, LAST_COOL_DOWN)
                return TargetState.HALF_OPEN
            self._drop_trials(names, names_for_one, caller)
            self._put_off(names)
        state = self.state(target, caller)
        return None if state is TargetState.OPEN else state

    def _begin_trials(self, target: Target, caller: str) -> tuple[list[str], list[str]]:
        """The names that are tried for all, and those that are tried for this caller alone."""
        own = self._callers.get(caller)
        names = [
            name for name in names_of(target) if self._all.state(name) is TargetState.HALF_OPEN
        ]
        names_for_one = [
            name
            for name in names_of(target)
            if own is not None and own.state(name) is TargetState.HALF_OPEN
        ]
        for name in names:
            self._all.begin_trial(name, caller)
        for name in names_for_one:
            self._callers.circuits(caller).begin_trial(name, caller)
        return names, names_for_one

    def _drop_trials(self, names: Iterable[str], names_for_one: Iterable[str], caller: str) -> None:
        for name in names:
            self._all.end_trial(name, caller)
        for name in names_for_one:
            self._callers.circuits(caller).end_trial(name, caller)

    def _put_off(self, names: Iterable[str]) -> None:
        """The trial is another process's: its end will be told."""
        for name in names:
            incident = self._all.incidents.get(name)
            if incident is not None:
                self._all.put(name, replace(incident, until=self._clock() + PUT_OFF))

    def _leave_the_next_to_others(self, names: Iterable[str], caller: str, seconds: float) -> None:
        """Else one caller could make every trial. It ends with the trouble itself."""
        for name in names:
            incident = self._all.incidents.get(name)
            if incident is not None:
                self._callers.circuits(caller).keep_for_others(name, incident.kind, seconds)

    # --- a call ends -------------------------------------------------------------------------------------------

    def began(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The first chunk of a stream is there: that ends a trial."""
        if state is not TargetState.HEALTHY:
            with self._lock:
                self._incidents.close_on_probation(target, state, caller)
                self._incidents.over(target, state, caller)

    def succeeded(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The whole answer is there."""
        if state is TargetState.HEALTHY and not self._rows and caller not in self._callers:
            return
        with self._lock:
            self._incidents.end_rows(target)
            own = self._callers.get(caller)
            if own is not None:
                own.succeeded(target.key)
            if state is not TargetState.HEALTHY:
                self._incidents.over(target, state, caller)
            self._callers.tidy(caller)

    def failed(
        self, target: Target, state: TargetState, fault: ProviderFault, caller: str = ""
    ) -> None:
        """The call met a fault of the provider."""
        with self._lock:
            is_doubtful = self._met(target, state, fault, caller)
            if fault.upstream_status == 429 or (fault.retry_after and counts_against(fault)):
                self._incidents.limited(target.key, fault, caller)
            is_doubtful = self._end_trial(target, state, caller) or is_doubtful
            self._callers.tidy(caller)
        if is_doubtful:
            self.doubt(target, caller)

    def left(self, target: Target, state: TargetState, caller: str = "") -> None:
        """The call ended without showing anything."""
        if state is TargetState.HALF_OPEN:
            with self._lock:
                is_doubtful = self._end_trial(target, state, caller)
            if is_doubtful:
                self.doubt(target, caller)

    def _met(self, target: Target, state: TargetState, fault: ProviderFault, caller: str) -> bool:
        """Note the fault. Whether a probe should show if it concerns all."""
        if counts_against(fault):
            return self._incidents.failed_again(target, state, fault, caller)
        own = self._callers.get(caller)
        if (
            own is not None
            and own.is_failing(target.key)
            and state is TargetState.HALF_OPEN
            and own.is_tried_by(target.key, caller)
        ):
            # It is there, if it did not do what was asked.
            own.close_on_probation(target.key, FAILURES - 1, own.level(target.key, "failing"))
        return fault.upstream_status in KEY_REFUSED and self._incidents.refused(
            target, fault, caller
        )

    def _end_trial(self, target: Target, state: TargetState, caller: str) -> bool:
        """If the call was a trial that showed nothing, another may be made. Whether it was one for
        all."""
        if state is not TargetState.HALF_OPEN:
            return False
        own = self._callers.circuits(caller)
        for name in names_of(target):
            own.end_trial(name, caller)
        names = [name for name in names_of(target) if self._all.end_trial(name, caller)]
        for name in names:
            self._shared.give_up(name)
        shown = [
            name
            for name in names
            if name in self.incidents and own.lasts_for_itself(name, self.incidents[name].kind)
        ]
        self._leave_the_next_to_others(
            (name for name in names if name not in shown), caller, OTHERS_FIRST
        )
        return bool(names)

    # --- probes ------------------------------------------------------------------------------------------------

    def proved(self, target: Target) -> None:
        """A check from outside the traffic had an answer: whatever was wrong for all is over."""
        with self._lock:
            self._over_for_all(target, also_limited=True)

    def probed(self, target: Target, fault: ProviderFault | None) -> None:
        """The probe that `doubt` asked for had an answer, or met this fault. No caller brought it
        about, so it concerns all."""
        with self._lock:
            if fault is None:
                self._over_for_all(target, also_limited=False)
            elif counts_against(fault):
                if not self._all.lasts_still(target.key, "failing"):
                    self._incidents.open(target, fault.code)
            else:
                self._probe_was_refused(target, fault)

    def _over_for_all(self, target: Target, also_limited: bool) -> None:
        self._incidents.end_rows(target)
        for name in names_of(target):
            if self._all.is_worse_than_limited(name) or (also_limited and name in self.incidents):
                self._incidents.forget(name)
                logger.info("%s is in order again.", target)

    def _probe_was_refused(self, target: Target, fault: ProviderFault) -> None:
        """The target is there, at least."""
        if self._all.is_failing(target.key):
            self._incidents.forget(target.key)
        if fault.upstream_status in KEY_REFUSED:
            self._incidents.refuse(target, fault)
        elif fault.upstream_status == 429:
            self._incidents.limit(target.key, wait_of(fault), fault.code)

    # --- what others found -------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take what other processes told. To be called as a call begins; mostly returns at once."""
        changes = await self._shared.changes(self._names)
        if changes:
            self.take(changes)

    def take(self, changes: Mapping[str, Incident | None]) -> None:
        with self._lock:
            for name, incident in changes.items():
                if self._all.is_tried(name):
                    continue
                if incident is None:
                    self._all.forget(name)
                else:
                    self._all.put(name, incident)
                if incident is None or incident.kind != "limited":
                    self._callers.forget(name)
