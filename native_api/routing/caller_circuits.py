"""The circuits of each caller who met faults lately. `health` holds the lock, and decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from native_api.bounded_cache import BoundedCache
from native_api.routing.circuit_states import Circuits

MAX_CALLERS: Final = 4096
MAX_INCIDENTS_PER_CALLER: Final = 64
"""Targets and providers whose faults are kept for one caller."""


class CallerCircuits(BoundedCache[str, Circuits]):
    """Circuits by caller (`Caller.identity`)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(MAX_CALLERS, clock=clock)

    def get_or_add(self, caller: str) -> Circuits:
        return self.get_or_make(caller, lambda: Circuits(self._clock, MAX_INCIDENTS_PER_CALLER))

    def forget(self, name: str) -> None:
        """Drop what single callers met of this target or provider: it concerns all, or is over."""
        for caller, circuits in self.items():
            circuits.forget(name)
            self.drop_if_empty(caller)

    def drop_if_empty(self, caller: str) -> None:
        circuits = self.get(caller)
        if circuits is not None and circuits.is_empty():
            self.discard(caller)
