"""The recorder of one process: its journal, and the thread that writes it to the database.

`recorder` holds the one instance and the rules.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from native_api.logs import get_logger
from native_api.usage.entry import INVALID_LINE_ERRORS, UsageEntry
from native_api.usage.journal.drain import JournalDrain
from native_api.usage.journal.journal import Journal, LineSource
from native_api.usage.last_used import KeyUseTimes
from native_api.usage.reentrant_event import ReentrantEvent

logger = get_logger("native_api.usage")

LINGER_SECONDS: Final = 0.1
"""Between the first record and its batch, so that the batch contains more records."""

IDLE_SECONDS: Final = 1.0
"""The thread then closes its database connection."""

MIN_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 5.0

REST_PER_SECOND_OF_WORK: Final = 2.5
"""Seconds."""

idle_hooks: Final[list[Callable[[], None]]] = []
"""Called in the thread when all is written: at least every ten seconds. They return at once and
never raise."""


class RecorderThread:
    """Any thread may call the public methods."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.journal = Journal()
        self.at_work = threading.Lock()
        """Held while a round is written."""
        self._key_uses = KeyUseTimes()
        self._drain = JournalDrain(self.journal, self._key_uses, self._rest)
        self._error: str | None = None
        self._has_work = ReentrantEvent()
        self._is_urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_starting = False
        self._is_stopping = False
        self._flushes = threading.Condition()
        self._flushes_requested = 0
        self._flushes_done = 0

    def record(self, entry: UsageEntry) -> None:
        self.journal.append(entry.to_json())
        self._has_work.set()
        self.start()

    def note_key_use(self, key_id: int) -> None:
        if self._key_uses.note_use(key_id):
            self._has_work.set()
            self.start()

    def start(self) -> bool:
        """Start the thread if it does not run.

        False if it cannot be started, because the interpreter is shutting down.
        """
        thread = self._thread
        if thread is not None and thread.is_alive():
            return True
        with self.journal.lock:
            return self._is_starting or self._start()

    def _start(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return True
        self._is_starting = True
        try:
            thread = threading.Thread(target=self._run, name="native-api-usage", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:
            return False
        finally:
            self._is_starting = False
        return True

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        has_more, backoff = True, 0.0
        while True:
            is_last = self._is_stopping
            if not is_last:
                self._wait(has_more, backoff)
            try:
                has_more, backoff = self._run_round(), 0.0
            except Exception as error:
                self._note_failure(error)
                backoff = min(backoff * 2 or MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)
            if not (is_last or has_more or backoff):
                for hook in idle_hooks:
                    hook()
            if is_last and (backoff or not has_more):
                self._drain.close_connection()
                return

    def _wait(self, has_more: bool, backoff: float) -> None:
        """Wait until there is something to write, or time for a sweep or another attempt."""
        if backoff:
            self._is_urgent.wait(backoff)
            return
        if has_more:
            return
        if not self._has_work.wait_and_clear(IDLE_SECONDS):
            self._drain.close_connection()
            self._has_work.wait_and_clear(self._drain.seconds_until_sweep)
        self._is_urgent.wait(LINGER_SECONDS)

    def _run_round(self) -> bool:
        with self.at_work:
            self._is_urgent.clear()
            requested = self._flushes_requested
            has_more = self._drain.run_round(sweep=requested > self._flushes_done)
            if not has_more:
                self._note_success(requested)
            return has_more

    def _rest(self, seconds_worked: float) -> None:
        if self._flushes_requested == self._flushes_done and not self._is_stopping:
            self._is_urgent.wait(seconds_worked * REST_PER_SECOND_OF_WORK)

    def _note_failure(self, error: Exception) -> None:
        self._drain.close_connection()
        if self._error is None:
            logger.error(
                "Usage records cannot be written to the database (%s). "
                "They stay in the journal until they can.",
                type(error).__name__,
                exc_info=error,
            )
        self._error = type(error).__name__

    def _note_success(self, flushes: int) -> None:
        if self._error is not None:
            self._error = None
            logger.warning("Usage records can be written to the database again.")
        if flushes > self._flushes_done:
            self._drain.close_connection()
            with self._flushes:
                self._flushes_done = flushes
                self._flushes.notify_all()

    # --- flushing, stopping, health --------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until all earlier records are written, those of dead processes included.

        False after `timeout` seconds.
        """
        with self._flushes:
            self._flushes_requested += 1
            ticket = self._flushes_requested
        self._is_urgent.set()
        self._has_work.set()
        if not self.start():
            return self._finish()
        with self._flushes:
            return self._flushes.wait_for(lambda: self._flushes_done >= ticket, timeout)

    def stop(self, timeout: float) -> bool:
        """End the thread after a last attempt to write, and close the files.

        False if records stay in the journal. Recording again starts a new thread.
        """
        if self.journal.backlog() or self._flushes_requested > self._flushes_done:
            self.start()
        self._is_stopping = True
        self._is_urgent.set()
        self._has_work.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        self._is_stopping = False
        return self._finish()

    def _finish(self) -> bool:
        """Close the files. If no thread could write the rest, try it once in this one."""
        if self.journal.backlog() and self._error is None:
            try:
                while self._run_round():
                    pass
            except Exception as error:
                self._note_failure(error)
        is_all_written = not self.journal.backlog()
        self.journal.release()
        return is_all_written

    def health(self) -> dict[str, Any]:
        self.journal.check_writable()
        return {
            "backlog": self.journal.backlog(),
            "oldest_seconds": self._oldest_seconds(),
            "writable": self.journal.failure is None,
            "error": self._error or self.journal.failure,
            "rejected": self._drain.rejected,
        }

    def _oldest_seconds(self) -> float:
        for source in reversed(self.journal.sources()):
            created_at = _created_at_of_first(source) if source.pending else None
            if created_at is not None:
                return max(0.0, (datetime.now(UTC) - created_at).total_seconds())
        return 0.0


def _created_at_of_first(source: LineSource) -> datetime | None:
    try:
        return UsageEntry.from_json(source.read(1).lines[0]).created_at
    except (OSError, IndexError, *INVALID_LINE_ERRORS):
        return None
