"""The recorder: usage records reach the journal at once and the database soon, whatever happens in
between.

    recorder.record(entry)      # from any thread or event loop; never raises, never waits for the database
    recorder.start()            # when a server starts: what killed processes left is written without waiting for traffic
    recorder.flush(10)          # when it stops, and in tests

Rules:
1. When `record` returns, the record survives the death of the process: a line of it is in a file.
   One thread per process reads the lines back and writes them in batches; memory does not grow with
   the backlog.
2. A line counts as done only when its transaction is committed, so every line is written at least
   once. The id that it was born with makes that exactly once (`writer`).
3. A file belongs to the process that holds its lock. Whoever gets the lock of another's file
   finishes it.
4. A database that is out of order delays records and no more; one bad record does not delay the
   others.
5. A child of a fork has a recorder of its own, and nothing of its parent's.
6. The thread takes at most a third of a core while it catches up, so that requests keep the
   interpreter.
"""

from __future__ import annotations

import atexit
import os
import threading
from datetime import UTC, datetime
from typing import Any, Final

from native_api.logs import get_logger
from native_api.usage.entry import UNREADABLE, UsageEntry
from native_api.usage.journal.drain import Drain
from native_api.usage.journal.journal import Journal
from native_api.usage.last_used import KeyTouches
from native_api.usage.wake import Wake

logger = get_logger("native_api.usage")

LINGER_SECONDS: Final = 0.1
"""Between the first record and its batch, so that there are more of them in it."""

IDLE_SECONDS: Final = 1.0
"""After which the thread closes its database connection."""

FIRST_BACKOFF: Final = 0.5
LAST_BACKOFF: Final = 5.0
EXIT_SECONDS: Final = 10.0
FORK_PATIENCE: Final = 2.0
"""Seconds that a fork waits for the batch that is being written."""

REST: Final = 2.5
"""Seconds of rest for each second of work."""


class Recorder:
    """One process's. Any thread may call what has no underscore."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.journal = Journal()
        self._touches = KeyTouches()
        self._drain = Drain(self.journal, self._touches, self._rest)
        self._error: str | None = None
        self._wake = Wake()
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = False
        self._stopping = False
        self._at_work = threading.Lock()
        self._flushes = threading.Condition()
        self._flushes_asked = 0
        self._flushes_done = 0

    def record(self, entry: UsageEntry) -> None:
        self.journal.append(entry.to_json())
        self._wake.set()
        self.start()

    def touch_key(self, key_id: int) -> None:
        if self._touches.touch(key_id):
            self._wake.set()
            self.start()

    def start(self) -> bool:
        """Have the thread running; False where none can be started any more, since the interpreter
        is ending."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return True
        with self.journal.lock:
            return self._starting or self._start()

    def _start(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return True
        self._starting = True
        try:
            thread = threading.Thread(target=self._run, name="native-api-usage", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:
            return False
        finally:
            self._starting = False
        return True

    # --- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        more, backoff = True, 0.0
        while True:
            last = self._stopping
            if not last:
                self._wait(more, backoff)
            try:
                more, backoff = self._round(), 0.0
            except Exception as error:
                self._out_of_order(error)
                backoff = min(backoff * 2 or FIRST_BACKOFF, LAST_BACKOFF)
            if last and (backoff or not more):
                self._drain.disconnect()
                return

    def _wait(self, more: bool, backoff: float) -> None:
        """Until there is something to do, or time for a sweep or another attempt."""
        if backoff:
            self._urgent.wait(backoff)
            return
        if more:
            return
        if not self._wake.wait(IDLE_SECONDS):
            self._drain.disconnect()
            self._wake.wait(self._drain.until_sweep)
        self._urgent.wait(LINGER_SECONDS)

    def _round(self) -> bool:
        with self._at_work:
            self._urgent.clear()
            asked = self._flushes_asked
            more = self._drain.round(sweep=asked > self._flushes_done)
            if not more:
                self._in_order(asked)
            return more

    def _rest(self, worked: float) -> None:
        if self._flushes_asked == self._flushes_done and not self._stopping:
            self._urgent.wait(worked * REST)

    def _out_of_order(self, error: Exception) -> None:
        self._drain.disconnect()
        if self._error is None:
            logger.error(
                "Usage records wait in the journal until the database takes them (%s).",
                type(error).__name__,
                exc_info=error,
            )
        self._error = type(error).__name__

    def _in_order(self, flushes: int) -> None:
        if self._error is not None:
            self._error = None
            logger.warning("The database takes usage records again.")
        if flushes > self._flushes_done:
            self._drain.disconnect()
            with self._flushes:
                self._flushes_done = flushes
                self._flushes.notify_all()

    # --- the end, and how it goes ----------------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until all that was recorded before is written, left-overs of dead processes
        included; False where it is not."""
        with self._flushes:
            self._flushes_asked += 1
            ticket = self._flushes_asked
        self._urgent.set()
        self._wake.set()
        if not self.start():
            return self._finish()
        with self._flushes:
            return self._flushes.wait_for(lambda: self._flushes_done >= ticket, timeout)

    def stop(self, timeout: float) -> bool:
        """End the thread after a last attempt to write, and give the files back. Recording again
        starts anew."""
        if self.journal.backlog() or self._flushes_asked > self._flushes_done:
            self.start()
        self._stopping = True
        self._urgent.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        self._stopping = False
        return self._finish()

    def _finish(self) -> bool:
        """Give the files back. What no thread could write any more is written in this one, with one
        attempt."""
        if self.journal.backlog() and self._error is None:
            try:
                while self._round():
                    pass
            except Exception as error:
                self._out_of_order(error)
        done = not self.journal.backlog()
        self.journal.release()
        return done

    def health(self) -> dict[str, Any]:
        self.journal.probe()
        return {
            "backlog": self.journal.backlog(),
            "oldest_seconds": self._oldest(),
            "writable": self.journal.failure is None,
            "error": self._error or self.journal.failure,
            "rejected": self._drain.rejected,
        }

    def _oldest(self) -> float:
        for source in reversed(self.journal.sources()):
            if source.pending:
                try:
                    created_at = UsageEntry.from_json(source.read(1).lines[0]).created_at
                except (OSError, IndexError, *UNREADABLE):
                    continue
                return (
                    max(0.0, (datetime.now(UTC) - created_at).total_seconds())
                    if created_at
                    else 0.0
                )
        return 0.0


# --- the one of this process -------------------------------------------------------------------------------

_recorder = Recorder()


def _own() -> Recorder:
    """The recorder of this process, also where a fork went unnoticed by Python."""
    if _recorder.pid != os.getpid():
        _begin_in_child()
    return _recorder


_paused: list[threading.Lock] = []


def _before_fork() -> None:
    # SQLite, as the child finds it, would go on holding the lock of a transaction that was under
    # way here, and nobody would end it.
    at_work = _recorder._at_work
    if at_work.acquire(timeout=FORK_PATIENCE):
        _paused.append(at_work)
    # No file may be half opened when the process is doubled.
    _recorder.journal.lock.acquire()


def _after_fork() -> None:
    _recorder.journal.lock.release()
    while _paused:
        _paused.pop().release()


def _begin_in_child() -> None:
    global _recorder
    _paused.clear()
    _recorder.journal.forget()
    _recorder = Recorder()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_begin_in_child
    )


def record(entry: UsageEntry) -> None:
    """Keep one record. Takes microseconds, from any thread or event loop; never raises."""
    try:
        _own().record(entry)
    except Exception:
        logger.critical(
            "A usage record could not be kept: %s", entry.to_json().decode(), exc_info=True
        )


def touch_key(key_id: int) -> None:
    """Note that an API key was used; `last_used_at` is written soon, at most once a minute. Never
    raises."""
    try:
        _own().touch_key(key_id)
    except Exception:
        logger.exception("The use of an API key could not be noted.")


def start() -> None:
    """Begin to look for what dead processes left, without waiting for a record. Doing it again is
    harmless."""
    _own().start()


def flush(timeout: float = EXIT_SECONDS) -> bool:
    """Wait until all that was recorded before is in the database; False where it is not after
    `timeout` seconds."""
    return _own().flush(timeout)


def stop(timeout: float = EXIT_SECONDS) -> bool:
    """Write what can be written and let go of thread, files and connection; False where records
    stay in the journal."""
    return _own().stop(timeout)


def health() -> dict[str, Any]:
    """How recording goes, without secrets.

    `backlog`: records not yet in the database; `oldest_seconds`: age of the oldest of them, 0.0
    where there is none; `writable`: whether the journal takes records; `error`: the class of the
    last error, None while all goes well; `rejected`: records of this process that the database
    refused.
    """
    return _own().health()


atexit.register(stop)
