"""The values of target health: incidents, states, and how processes share incidents.

Only values and a protocol; the rules are in `health`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, Protocol

IncidentKind = Literal["circuit_open", "rate_limited", "auth_failed"]
INCIDENT_KINDS: Final[tuple[IncidentKind, ...]] = ("circuit_open", "rate_limited", "auth_failed")


@dataclass(frozen=True, slots=True)
class Incident:
    """What is wrong with a target or provider.

    `until` is in Unix seconds, `level` counts consecutive cool-downs from 0, `code` is the error's
    code, for operators.
    """

    kind: IncidentKind
    until: float
    level: int = 0
    code: str = ""


class TargetState(IntEnum):
    """From the best to the worst."""

    HEALTHY = 0
    HALF_OPEN = 1
    DEGRADED = 2
    OPEN = 3


class SharedHealth(Protocol):
    """Shares incidents between processes. Nothing here raises; what cannot be shared stays local.

    Names are health names: `Target.key` or `Provider.identity`.
    """

    async def pull(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """What other processes published since the last pull; None for an incident that ended.

        Reads at most once a second.
        """

    def publish(self, name: str, incident: Incident | None) -> None:
        """Publish soon, without waiting. Also ends this process's claim to `name`."""

    def withdraw(self, name: str) -> None:
        """End this process's claim to `name`: its half-open call was inconclusive."""

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether this process may make the half-open call of `name`."""


class UnsharedHealth:
    """For a single process."""

    async def pull(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        return {}

    def publish(self, name: str, incident: Incident | None) -> None:
        pass

    def withdraw(self, name: str) -> None:
        pass

    async def claim(self, name: str, seconds: float) -> bool:
        return True
