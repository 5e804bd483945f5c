"""The circuits of each caller who met faults lately. `health` holds the lock, and decides."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from native_api.routing.circuit_states import Circuits

MAX_CALLERS: Final = 4096
MAX_INCIDENTS_PER_CALLER: Final = 64
"""Targets and providers whose faults are kept for one caller."""


class CallerCircuits(OrderedDict[str, Circuits]):
    """Circuits by caller (`Caller.identity`). Bounded; the most recently used are kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def get_or_make(self, caller: str) -> Circuits:
        circuits = self.get(caller)
        if circuits is None:
            circuits = self[caller] = Circuits(self._clock, MAX_INCIDENTS_PER_CALLER)
        self.move_to_end(caller)
        while len(self) > MAX_CALLERS:
            self.popitem(last=False)
        return circuits

    def forget(self, name: str) -> None:
        """Drop what single callers met of this target or provider: it concerns all, or is over."""
        for caller, circuits in list(self.items()):
            circuits.forget(name)
            self.drop_if_empty(caller)

    def drop_if_empty(self, caller: str) -> None:
        if caller in self and self[caller].is_empty():
            del self[caller]
