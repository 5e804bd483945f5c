"""What single callers met: a set of circuits for each, and rows of faults over all of them, which
show what concerns everybody.

Both are bounded, and what was used last is kept. `health` has the lock, and decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from native_api.routing.circuit import Circuits
from native_api.routing.health_states import KINDS, Incident, Kind

FAILURES: Final = 5
SEVERAL: Final = 3
"""Callers whose word counts for all."""

MAX_ROWS: Final = 4096
MAX_CALLERS: Final = 4096
MAX_OF_A_CALLER: Final = 64
"""Targets and providers of which a caller's faults are remembered."""

BEFORE: Final = "before"
"""Stands for those who met an outage before it was tried whether it is over."""


class Callers(OrderedDict[str, Circuits]):
    """The circuits of each caller who met faults lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def circuits(self, caller: str) -> Circuits:
        """Made if there are none."""
        found = self.get(caller)
        if found is None:
            found = self[caller] = Circuits(self._clock, MAX_OF_A_CALLER)
        self.move_to_end(caller)
        while len(self) > MAX_CALLERS:
            self.popitem(last=False)
        return found

    def forget(self, name: str) -> None:
        """What they met of this target or provider: it concerns all, or is over."""
        for caller, circuits in list(self.items()):
            circuits.forget(name)
            self.tidy(caller)

    def tidy(self, caller: str) -> None:
        """Drop circuits that hold nothing."""
        if caller in self and self[caller].is_empty():
            del self[caller]


@dataclass(slots=True)
class Row:
    """Faults of one kind in a row."""

    failures: int = 0
    unprovoked: int = 0
    callers: set[str] = field(default_factory=set)

    def add(self, caller: str, unprovoked: bool = False) -> None:
        self.failures += 1
        self.unprovoked += unprovoked
        self.callers.add(caller)

    @property
    def met_by_several(self) -> bool:
        return len(self.callers) >= SEVERAL

    @property
    def opens_circuit(self) -> bool:
        return self.unprovoked >= FAILURES or (self.failures >= FAILURES and self.met_by_several)


def after_outage() -> Row:
    """Two more callers open the circuit again, or one more connection that fails."""
    return Row(FAILURES - 2, FAILURES - 1, {BEFORE})


class Rows(OrderedDict[tuple[Kind, str], Row]):
    """The rows by kind, and by name of a target or provider."""

    def add(
        self, kind: Kind, name: str, known: Incident | None, caller: str, unprovoked: bool = False
    ) -> Row:
        """One more fault, of a name of which this is known for all. Returns the row."""
        row = self.get((kind, name))
        if row is None:
            row = after_outage() if known is not None and known.kind == kind != "limited" else Row()
        row.add(caller, unprovoked)
        self._keep(kind, name, row)
        return row

    def go_on_after_outage(self, name: str) -> None:
        self._keep("failing", name, after_outage())

    def _keep(self, kind: Kind, name: str, row: Row) -> None:
        self[kind, name] = row
        self.move_to_end((kind, name))
        while len(self) > MAX_ROWS:
            self.popitem(last=False)

    def end(self, names: Iterable[str], kinds: Iterable[Kind] = KINDS) -> None:
        for name in names:
            for kind in kinds:
                self.pop((kind, name), None)
