"""Whether a resource answers: one memory of an outage, for all who use the resource.

Rules:
1. An outage begins with the first evidence: an error of the connection, or silence for longer than
   the resource's patience. It is logged at most once a minute.
2. While it lasts nobody asks the resource. A thread of its own probes it, one probe at a time: a
   resource that hangs keeps one thread and one connection busy, however long it hangs.
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
        self.reset()
        reset_after_fork(self.reset)

    def reset(self) -> None:
        """Forget an outage, in a new process or with another resource."""
        self._lock = threading.Lock()
        self._log_interval.reset()
        self.is_active = False
        self._evidence = ""
        self._prober: threading.Thread | None = None

    def refusal(self) -> ResourceUnavailable:
        """What those get who may not wait."""
        return ResourceUnavailable(
            f"the {self.resource} does not answer ({self._evidence})", self._evidence
        )

    def begin(self, evidence: BaseException) -> None:
        """Note that the resource is down, and probe it until it answers."""
        with self._lock:
            if self.is_active:
                return
            self._evidence = type(evidence).__name__
            self.is_active = True
            if self._prober is None:  # else a probe of an earlier outage still hangs
                self._prober = self._start_prober()
        if self._log_interval.is_due():
            self._warn(evidence)

    def _warn(self, evidence: BaseException) -> None:
        words = f"{type(evidence).__name__}: {' '.join(str(evidence).split())}"
        logger.warning(
            "The %s does not answer (%s). %s",
            self.resource,
            words[:MAX_ERROR_LENGTH],
            self._consequences,
        )

    def end(self) -> None:
        with self._lock:
            self.is_active = False
        logger.info("The %s answers again.", self.resource)

    # --- probing ---------------------------------------------------------------------------------

    def _start_prober(self) -> threading.Thread:
        name = f"native-api-{self.resource}-probe"
        prober = threading.Thread(target=self._probe_until_it_answers, name=name, daemon=True)
        prober.start()
        return prober

    def _probe_until_it_answers(self) -> None:
        while not self._is_needless():
            if self._does_answer():
                self.end()
            else:
                time.sleep(PROBE_SECONDS)

    def _is_needless(self) -> bool:
        """Whether this thread can end. Then the next outage starts another."""
        with self._lock:
            if not self.is_active and self._prober is threading.current_thread():
                self._prober = None
            return self._prober is not threading.current_thread()

    def _does_answer(self) -> bool:
        try:
            self._probe()
        except Exception:
            return False
        return True
