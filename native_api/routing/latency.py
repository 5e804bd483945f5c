"""How fast targets answer: moving averages for the strategy `fastest`, percentiles for hedging. Of
this process alone.

What is measured is the time to the first token of a stream, and the time to the whole of a complete
reply, since its first token is not seen. The two are kept apart. A time-out counts with the time it
took.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

WEIGHT_OF_NEW: Final = 0.3
"""Of the newest measurement in an average: about five of them make it up."""

OUTDATED_AFTER: Final = 60.0
"""Seconds after which an average is made anew, by one request: a slow target may have become a fast
one."""

KEPT: Final = 200
"""Measurements that a percentile is made of."""

NEEDED: Final = 20
"""Measurements without which there is no percentile."""


@dataclass(slots=True)
class Average:
    seconds: float
    measured_at: float


@dataclass(slots=True)
class Recent:
    """A route's last measurements. The percentile is worked out once for several of them."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    percentile: float | None = None
    since: int = 0

    def add(self, seconds: float) -> None:
        self.times.append(seconds)
        self.since += 1
        if self.since >= NEEDED:
            self.since = 0
            self.percentile = sorted(self.times)[int(len(self.times) * 0.95)]


class LatencyTracker:
    """Filled by the client for routes that ask for it, so no caller can fill the memory with
    made-up names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._averages: dict[bool, dict[str, Average]] = {False: {}, True: {}}
        self._recent: dict[tuple[str, bool], Recent] = {}

    def add(self, key: str, stream: bool, seconds: float) -> None:
        """A target answered."""
        now = self._clock()
        known = self._averages[stream].get(key)
        if known is None or known.measured_at < now - OUTDATED_AFTER:
            self._averages[stream][key] = Average(seconds, now)
        else:
            self._averages[stream][key] = Average(
                known.seconds + (seconds - known.seconds) * WEIGHT_OF_NEW, now
            )

    def add_to_route(self, name: str, stream: bool, seconds: float) -> None:
        """A route answered."""
        self._recent.setdefault((name, stream), Recent()).add(seconds)

    def averages(self, stream: bool) -> Mapping[str, Average]:
        return self._averages[stream]

    def outdated(self) -> float:
        """The moment before which a measurement is too old to be believed."""
        return self._clock() - OUTDATED_AFTER

    def percentile_95(self, name: str, stream: bool) -> float | None:
        """Seconds; None while too little is known."""
        recent = self._recent.get((name, stream))
        return None if recent is None else recent.percentile
