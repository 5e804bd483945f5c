"""Whether a resource answers: one memory of an outage, for all who use the resource.

Rules:
1. An outage begins with the first evidence: an error of the connection, or silence for longer than
   the resource's patience. It is logged once a minute, as long as somebody needs the resource.
2. While it lasts nobody asks the resource. A thread of its own probes it, one probe at a time. A
   probe that hangs is left alone after MAX_PROBE_SECONDS, and another one made: its server may be
   gone for good, and another one in its place. At most MAX_HANGING_PROBES threads and connections
   are left so, however long the resource hangs.
3. The first success ends the outage: that of a probe, or of a call that nobody waits for any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from native_api.forks import reset_after_fork
from native_api.logs import LogInterval, get_logger

logger = get_logger("native_api.background")

PROBE_SECONDS: Final = 1.0
"""Between two probes."""

MAX_PROBE_SECONDS: Final = 30.0
MAX_HANGING_PROBES: Final = 3

MAX_ERROR_LENGTH: Final = 200


class ResourceUnavailable(Exception):
    """The resource is down: the call was not made, or nobody waits for it any more. `evidence` is
    the class of the error that showed it."""

    def __init__(self, message: str, evidence: str = "") -> None:
        super().__init__(message)
        self.evidence = evidence or type(self).__name__


class CallTimeout(ResourceUnavailable, TimeoutError):
    """A call in a worker thread did not return in time. The call itself goes on."""


class Outage:
    """The memory of one resource. `probe` raises an exception if the resource does not answer;
    `consequences` tell the log what happens meanwhile."""

    def __init__(self, resource: str, consequences: str, probe: Callable[[], Any]) -> None:
        self.resource, self._consequences, self._probe = resource, consequences, probe
        self._log_interval = LogInterval()
        self._start()
        reset_after_fork(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def reset(self) -> None:
        """Forget an outage, with another resource."""
        with self._lock:  # else one that begins meanwhile would lose its prober
            self._forget()

    def _forget(self) -> None:
        self._log_interval.reset()
        self.is_active = False
        self.began_at = float("-inf")
        """Of the current outage, or the last one."""
        self._evidence = self._description = ""
        self._prober: threading.Thread | None = None
        self._probed_at = float("-inf")
        self._hanging_probers: set[threading.Thread] = set()

    def refusal(self) -> ResourceUnavailable:
        """What those get who may not wait."""
        if time.monotonic() - self._probed_at >= MAX_PROBE_SECONDS:
            self._leave_hanging_probe()
        self._warn()
        return ResourceUnavailable(
            f"the {self.resource} does not answer ({self._evidence})", self._evidence
        )

    def begin(self, evidence: BaseException) -> None:
        """Note that the resource is down, and probe it until it answers."""
        with self._lock:
            if self.is_active:
                return
            self._evidence = type(evidence).__name__
            words = f"{self._evidence}: {' '.join(str(evidence).split())}"
            self._description = words[:MAX_ERROR_LENGTH]
            if self._prober is None:  # else a probe of an earlier outage still hangs
                self._start_prober()
            self.is_active = True  # only if somebody is there who ends it
            self.began_at = time.monotonic()
        self._warn()

    def _warn(self) -> None:
        if self.is_active and self._log_interval.is_due():
            logger.warning(
                "The %s does not answer (%s). %s",
                self.resource,
                self._description,
                self._consequences,
            )

    def end(self) -> None:
        with self._lock:
            was_active, self.is_active = self.is_active, False
        if was_active:
            logger.info("The %s answers again.", self.resource)

    # --- probing ---------------------------------------------------------------------------------

    def _start_prober(self) -> None:
        name = f"native-api-{self.resource}-probe"
        prober = threading.Thread(target=self._probe_until_it_answers, name=name, daemon=True)
        prober.start()
        self._prober, self._probed_at = prober, time.monotonic()

    def _leave_hanging_probe(self) -> None:
        """Start another prober, unless too many hang."""
        with self._lock:
            hangs = time.monotonic() - self._probed_at >= MAX_PROBE_SECONDS
            if self._prober is None or not self.is_active or not hangs:
                return
            self._hanging_probers = {each for each in self._hanging_probers if each.is_alive()}
            if len(self._hanging_probers) < MAX_HANGING_PROBES:
                self._hanging_probers.add(self._prober)
                self._start_prober()

    def _probe_until_it_answers(self) -> None:
        while not self._is_needless():
            if self._does_answer():
                self.end()
            else:
                time.sleep(PROBE_SECONDS)

    def _is_needless(self) -> bool:
        """Whether this thread can end. Then the next outage starts another."""
        with self._lock:
            if self._prober is not threading.current_thread():
                return True
            if not self.is_active:
                self._prober = None
                return True
            self._probed_at = time.monotonic()
            return False

    def _does_answer(self) -> bool:
        try:
            self._probe()
        except Exception:
            return False
        return True
