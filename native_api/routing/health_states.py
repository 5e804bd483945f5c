"""What can be wrong with a target, and how processes tell each other. Values and a protocol;
`health` says what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, Protocol

Kind = Literal["failing", "limited", "refused"]
KINDS: Final[tuple[Kind, ...]] = ("failing", "limited", "refused")


@dataclass(frozen=True, slots=True)
class Incident:
    """`until` is in seconds since 1970, `level` counts cool-downs in a row from 0, `code` is the
    error's, for people."""

    kind: Kind
    until: float
    level: int = 0
    code: str = ""


class TargetState(IntEnum):
    """From the best to the worst."""

    HEALTHY = 0
    HALF_OPEN = 1
    DEGRADED = 2
    OPEN = 3


class SharedState(Protocol):
    """Where processes tell each other what they found. Nothing here raises; what cannot be shared
    stays local."""

    async def changes(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        """What others told since the last time; None for a trouble that is over. Asks at most once
        a second."""

    def tell(self, name: str, incident: Incident | None) -> None:
        """Pass it on, some time soon. Ends this process's claim to a trial of `name`."""

    def give_up(self, name: str) -> None:
        """End this process's claim to a trial of `name`: it has shown nothing."""

    async def claim(self, name: str, seconds: float) -> bool:
        """Whether the trial of `name` is this process's."""


class NotShared:
    """For one process alone."""

    async def changes(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        return {}

    def tell(self, name: str, incident: Incident | None) -> None:
        pass

    def give_up(self, name: str) -> None:
        pass

    async def claim(self, name: str, seconds: float) -> bool:
        return True
