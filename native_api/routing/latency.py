"""How fast targets answer: moving averages for the strategy `fastest`, percentiles for hedging. For
this process alone.

Measured are the time to the first token of a stream, and the time to the whole of a complete reply,
whose first token is not seen. The two are kept apart. A timeout counts with the time it took.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from native_api.bounded_cache import BoundedCache

NEW_SAMPLE_WEIGHT: Final = 0.3
"""Weight of the newest sample in an average: about five samples make it up."""

OUTDATED_SECONDS: Final = 60.0
"""Age after which an average is replaced by one new sample: a slow target may have become fast."""

MAX_SAMPLES: Final = 200
"""Samples that a percentile is made of."""

MIN_SAMPLES: Final = 20
"""Samples needed for a percentile."""

MAX_TARGETS: Final = 4096
MAX_ROUTES: Final = 4096
"""More than a site has. Those of earlier configurations are evicted."""


@dataclass(slots=True)
class Average:
    seconds: float
    measured_at: float


@dataclass(slots=True)
class RecentSamples:
    """A route's last samples. The percentile is worked out once per `MIN_SAMPLES`."""

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    percentile: float | None = None
    new_count: int = 0

    def add(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.new_count += 1
        if self.new_count >= MIN_SAMPLES:
            self.new_count = 0
            self.percentile = sorted(self.seconds)[int(len(self.seconds) * 0.95)]


class LatencyTracker:
    """Filled only for routes that use it, so no caller can fill the memory with made-up names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._averages = {
            stream: BoundedCache[str, Average](MAX_TARGETS) for stream in (False, True)
        }
        self._recent = BoundedCache[tuple[str, bool], RecentSamples](MAX_ROUTES)

    def add(self, key: str, stream: bool, seconds: float) -> None:
        """A target answered, or timed out, after so many seconds."""
        now = self._clock()
        average = self._averages[stream].get(key)
        if average is None or average.measured_at < now - OUTDATED_SECONDS:
            self._averages[stream][key] = Average(seconds, now)
        else:
            self._averages[stream][key] = Average(
                average.seconds + (seconds - average.seconds) * NEW_SAMPLE_WEIGHT, now
            )

    def add_to_route(self, name: str, stream: bool, seconds: float) -> None:
        """A route answered, or timed out, after so many seconds."""
        self._recent.get_or_make((name, stream), RecentSamples).add(seconds)

    def averages(self, stream: bool) -> BoundedCache[str, Average]:
        """By `Target.key`."""
        return self._averages[stream]

    def outdated_before(self) -> float:
        """The time before which a measurement is too old."""
        return self._clock() - OUTDATED_SECONDS

    def percentile_95(self, name: str, stream: bool) -> float | None:
        """Seconds; None while there are too few samples."""
        recent = self._recent.get((name, stream))
        return None if recent is None else recent.percentile
