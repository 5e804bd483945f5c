"""What this process has recorded and the database does not have yet.

The lines are in files, or in memory if no file can be written.

Rules:
1. Any thread may call `append` at any moment, even a finalizer that interrupts another `append` of
   the same thread. So it holds one reentrant lock, briefly, and never raises. Everything else is
   for the recorder's thread.
2. Lines go to the current file. It is retired when it has grown, or when all of it is written; the
   next line then begins a new file. Retired files are read to their end and removed.
3. The files of dead processes are adopted: locked, and treated like retired files from then on.
4. If no file can be written, a limited number of lines is kept in memory and moved to a file as
   soon as one can be written. Until then, the memory is a source of lines like the files. A line
   that fits nowhere is logged in full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from native_api.logs import get_logger
from native_api.usage.journal import location
from native_api.usage.journal.memory import MemoryBuffer
from native_api.usage.journal.segment import SUFFIX, LineBatch, Segment, add_checksum

logger = get_logger("native_api.usage")

MAX_SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""The current file is retired at this size, even if the database is not available for long."""

TIDY_SEGMENT_BYTES: Final = 1024 * 1024
"""The current file is retired at this size if most of it is written."""

MAX_LINES_IN_MEMORY: Final = 10_000

MAX_RETIRED_SEGMENTS: Final = 8
"""No more files of dead processes are adopted while so many are open."""

RETRY_SECONDS: Final = 1.0
"""Between two attempts to create a file."""


class LineSource(Protocol):
    """Something to read lines from: a file or the memory.

    `may_be_written` says that the database may have some of the lines already.
    """

    may_be_written: bool

    @property
    def pending(self) -> int: ...
    def read(self, limit: int) -> LineBatch: ...
    def mark_done(self, batch: LineBatch) -> None: ...


class Journal:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.memory = MemoryBuffer()
        self.failure: str | None = None
        """The class of the error that prevents writing files."""
        self._current: Segment | None = None
        self._retired: list[Segment] = []
        self._retry_at = 0.0
        self._size_at_sweep = 0

    # --- writing ---------------------------------------------------------------------------------

    def append(self, line: bytes) -> None:
        with self.lock:
            if not self._write(line):
                self._append_to_memory(line)

    def _write(self, line: bytes) -> bool:
        try:
            self._writable_segment().append(add_checksum(line))
        except Exception as error:
            self._note_failure(error)
            return False
        self._note_success()
        return True

    def _writable_segment(self) -> Segment:
        current = self._current
        if current is None or current.size >= MAX_SEGMENT_BYTES:
            return self._create_segment(current)
        return current

    def _create_segment(self, current: Segment | None) -> Segment:
        """A new file, or the current one if none can be created. Raises if there is neither."""
        if time.monotonic() < self._retry_at:
            if current is None:
                raise OSError(self.failure)
            return current
        try:
            created = Segment.create(location.directory(), location.database_fingerprint())
        except Exception:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if current is None:
                raise
            return current
        self.retire_current()
        self._current = created
        return created

    def _note_failure(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = type(error).__name__
            logger.error(
                "The usage journal cannot be written (%s). Records are kept in memory.", error
            )

    def _note_success(self) -> None:
        if self.failure is not None:
            self.failure = None
            logger.warning("The usage journal can be written again.")

    def _append_to_memory(self, line: bytes) -> None:
        if len(self.memory.lines) < MAX_LINES_IN_MEMORY:
            self.memory.lines.append(line)
        else:
            logger.critical(
                "A usage record could be kept neither on the disk nor in memory: %s",
                line.decode("utf-8", "replace"),
            )

    def move_memory_to_file(self) -> None:
        """Move as many lines from memory to a file as possible."""
        while self.memory.lines:
            with self.lock:
                if not self._write(self.memory.lines[0]):
                    return
                self.memory.lines.popleft()

    def check_writable(self) -> None:
        """Find out whether lines can be written, without writing one."""
        with self.lock:
            try:
                if self.failure is not None:
                    self._writable_segment().append_empty_line()
                elif self._current is None:
                    location.directory()
            except Exception as error:
                self._note_failure(error)
            else:
                self._note_success()

    # --- reading ---------------------------------------------------------------------------------

    def sources(self) -> list[LineSource]:
        with self.lock:
            return [*([self._current] if self._current else []), self.memory, *self._retired]

    def backlog(self) -> int:
        return sum(source.pending for source in self.sources())

    def retire_current(self) -> None:
        """Let the next line begin a new file."""
        with self.lock:
            if self._current is not None:
                self._retired.append(self._current)
                self._current = None

    def remove_if_done(self, source: LineSource) -> None:
        """Remove the source's file if it is retired and nothing is left in it. Raises OSError."""
        with self.lock:
            if source not in self._retired:
                return
        assert isinstance(source, Segment)
        # A line may have been appended after the last read and before the file was retired.
        # No more can be appended now.
        if _is_done(source):
            self._drop(source, source.remove)

    def close_unreadable(self, source: LineSource) -> None:
        """Close a file that cannot be read at present. A later sweep tries it again."""
        with self.lock:
            if source is self._current:
                self.retire_current()
        if isinstance(source, Segment):
            self._drop(source, source.close)

    def _drop(self, segment: Segment, close: Callable[[], None]) -> None:
        try:
            close()
        finally:
            with self.lock:
                self._retired.remove(segment)

    def retire_mostly_written(self) -> None:
        """Retire the current file if it has grown and most of it is written."""
        with self.lock:
            current = self._current
            if (
                current is not None
                and current.size > TIDY_SEGMENT_BYTES
                and current.offset > current.size // 2
            ):
                self.retire_current()

    def sweep(self) -> bool:
        """Retire the current file if it is idle or deleted, and adopt files of dead processes.

        False if more of those are left.
        """
        with self.lock:
            current = self._current
            if current is not None and (self._is_idle(current) or not current.has_name()):
                self.retire_current()
            self._size_at_sweep = current.size if current is not None else 0
        return self._adopt_all()

    def _is_idle(self, current: Segment) -> bool:
        return current.offset == current.size == self._size_at_sweep

    def _adopt_all(self) -> bool:
        fingerprint = location.database_fingerprint()
        for path in sorted(location.directory().glob(f"{fingerprint}-*{SUFFIX}")):
            if len(self._retired) >= MAX_RETIRED_SEGMENTS:
                return False
            try:
                self._adopt(path)
            except OSError as error:
                logger.warning("The usage journal of another process cannot be read (%s).", error)
        return True

    def _adopt(self, path: Path) -> None:
        with self.lock:
            if any(path == own.path for own in (self._current, *self._retired) if own is not None):
                return
            segment = Segment.adopt(path)
            if segment is not None:
                self._retired.append(segment)
        if segment is not None:
            segment.count_pending()

    # --- stopping --------------------------------------------------------------------------------

    def release(self) -> None:
        """Close all files. Another process adopts those that are not done."""
        self.move_memory_to_file()
        with self.lock:
            self.retire_current()
            for segment in list(self._retired):
                self._drop(segment, segment.remove if _is_done(segment) else segment.close)
            for line in self.memory.lines:
                logger.critical(
                    "A usage record could not be written anywhere: %s",
                    line.decode("utf-8", "replace"),
                )
            self.memory.lines.clear()

    def close_inherited(self) -> None:
        """In a forked child: close the parent's files, whose locks would else outlive it."""
        for segment in (self._current, *self._retired):
            if segment is not None:
                segment.close()


def _is_done(segment: Segment) -> bool:
    """Whether nothing is left in a retired file. A torn end does not count. Raises OSError."""
    batch = segment.read(1)
    return not batch.lines and not batch.torn
