"""The recorder: usage records reach the journal at once, and the database soon.

They do so even if the process is killed in between.

    recorder.record(entry)   # from any thread or event loop; never raises, does not wait
    recorder.start()         # when a server starts: writes what killed processes have left
    recorder.flush(10)       # when it stops, and in tests

Rules:
1. When `record` returns, the record survives the death of the process: a line of it is in a file.
   One thread per process reads the lines back and writes them in batches; memory does not grow with
   the backlog (`recorder_thread`, `journal`).
2. A line counts as done only when its transaction is committed, so every line is written at least
   once. Its id makes that exactly once (`writer`).
3. A file belongs to the process that holds its lock. Whoever gets the lock of another process's
   file finishes it.
4. If the database is not available, records are delayed, never lost; one bad record does not delay
   the others.
5. A forked child has its own recorder, and nothing of its parent's.
6. The thread takes at most a third of a core while it catches up, so that requests get the
   interpreter.
7. In Django's test environment there is neither journal nor thread: `immediate` writes each record
   before `record` returns.
"""

from __future__ import annotations

import atexit
import os
from typing import Any, Final

from native_api.background import test_environment
from native_api.forks import hold_during_forks, reset_after_fork
from native_api.logs import get_logger
from native_api.usage import immediate
from native_api.usage.entry import UsageEntry
from native_api.usage.recorder_thread import RecorderThread

logger = get_logger("native_api.usage")

STOP_TIMEOUT_SECONDS: Final = 10.0

_recorder = RecorderThread()
_is_serving = False


def _recorder_of_process() -> RecorderThread:
    """The recorder of this process, even after a fork that Python did not notice."""
    if _recorder.pid != os.getpid():
        _after_fork_in_child()
    return _recorder


# --- forks ---------------------------------------------------------------------------------------


def _after_fork_in_child() -> None:
    global _recorder
    _recorder.journal.close_inherited()
    _recorder = RecorderThread()


hold_during_forks(lambda: _recorder.journal.lock, seconds=-1)  # no file is half opened
hold_during_forks(lambda: _recorder.at_work)  # and before that, no batch half written
reset_after_fork(_after_fork_in_child)


# --- what other modules call ---------------------------------------------------------------------


def record(entry: UsageEntry) -> None:
    """Keep one record. Takes microseconds, from any thread or event loop; never raises."""
    try:
        if test_environment.is_active():
            immediate.record(entry)
        else:
            _recorder_of_process().record(entry)
    except Exception:
        logger.critical(
            "A usage record could not be kept: %s", entry.to_json().decode(), exc_info=True
        )


def note_key_use(key_id: int) -> None:
    """Note the use of an API key; `last_used_at` is written soon, once a minute. Never raises."""
    try:
        if test_environment.is_active():
            immediate.note_key_use(key_id)
        else:
            _recorder_of_process().note_key_use(key_id)
    except Exception:
        logger.exception("The use of an API key could not be noted.")


def start() -> None:
    """Look for what dead processes have left, without waiting for a record. Idempotent."""
    global _is_serving
    _is_serving = True
    if not test_environment.is_active():
        _recorder_of_process().start()


def is_serving() -> bool:
    """Whether a server has called `start` in this process, or in the one that it was forked from.

    A command or a task only records.
    """
    return _is_serving


def flush(timeout: float = STOP_TIMEOUT_SECONDS) -> bool:
    """Wait until all earlier records are in the database; False after `timeout` seconds."""
    return test_environment.is_active() or _recorder_of_process().flush(timeout)


def stop(timeout: float = STOP_TIMEOUT_SECONDS) -> bool:
    """Write what can be written, and close the thread, the files and the connection.

    False if records stay in the journal.
    """
    return test_environment.is_active() or _recorder_of_process().stop(timeout)


def health() -> dict[str, Any]:
    """The state of recording, without secrets.

    `backlog`: the number of records that are not in the database yet; `oldest_seconds`: the age of
    the oldest, 0.0 if there is none; `writable`: whether the journal can be written; `error`: the
    class of the last error, None if all is well; `rejected`: the number of this process's records
    that the database has rejected.
    """
    return immediate.HEALTH if test_environment.is_active() else _recorder_of_process().health()


atexit.register(stop)
