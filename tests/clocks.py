"""Clocks that tests move, instead of waiting for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def clock_mover(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that moves the clocks of this process forward."""

    def move(seconds: float) -> None:
        for name in ("time", "monotonic"):
            clock = getattr(time, name)
            monkeypatch.setattr(time, name, lambda clock=clock: clock() + seconds)

    return move
