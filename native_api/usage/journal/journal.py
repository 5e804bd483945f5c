"""What this process has recorded and the database does not have yet: files, or memory where no file
can be written.

Rules:
1. `append` may be called by any thread at any moment, also by a finalizer that interrupts another
   `append` of the same thread. It therefore holds one reentrant lock, shortly, and never raises.
   All else is for the recorder's thread.
2. Lines go to the current file. A file that has grown, or that has nothing left to write, is put
   away and the next line begins a new one; what is put away is read to its end and removed.
3. The files of dead processes are adopted: locked, and from then on treated as ones that were put
   away here.
4. Where no file can be written, a bounded number of lines is kept in memory. They move to a file as
   soon as one can be written; until then they are a source like the files. A line that fits nowhere
   is put in the log, whole.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from native_api.logs import get_logger
from native_api.usage.journal import location
from native_api.usage.journal.segment import SUFFIX, Piece, Segment, framed

logger = get_logger("native_api.usage")

MAX_SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""A current file is left at this size even if the database cannot be written for long."""

TIDY_SEGMENT_BYTES: Final = 1024 * 1024
"""A current file is left at this size if most of it is written."""

MAX_KEPT: Final = 10_000
"""Lines in memory."""

MAX_ADOPTED: Final = 8
"""Files of dead processes that are open at once."""

RETRY_SECONDS: Final = 1.0
"""Between two attempts to begin a file."""


class Source(Protocol):
    """Where lines are read from. `settle` tells that the piece is done with; `doubtful` that some
    of it may be done already."""

    doubtful: bool

    @property
    def pending(self) -> int: ...
    def read(self, limit: int) -> Piece: ...
    def settle(self, piece: Piece) -> None: ...


class Memory:
    """Lines that no file took."""

    def __init__(self) -> None:
        self.doubtful = False
        self.lines: deque[bytes] = deque()

    @property
    def pending(self) -> int:
        return len(self.lines)

    def read(self, limit: int) -> Piece:
        lines = list(islice(self.lines.copy(), limit))
        return Piece(lines, 0, len(lines), len(lines) == limit)

    def settle(self, piece: Piece) -> None:
        for _ in piece.lines:
            self.lines.popleft()


class Journal:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.memory = Memory()
        self.failure: str | None = None
        """The class of the error that keeps files from being written."""
        self._current: Segment | None = None
        self._put_away: list[Segment] = []
        self._retry_at = 0.0
        self._size_at_sweep = 0

    # --- writing ---------------------------------------------------------------------------------------------

    def append(self, line: bytes) -> None:
        with self.lock:
            if not self._write(line):
                self._keep(line)

    def _write(self, line: bytes) -> bool:
        try:
            self._segment().append(framed(line))
        except Exception as error:
            self._failed(error)
            return False
        self._succeeded()
        return True

    def _segment(self) -> Segment:
        current = self._current
        if current is None or current.size >= MAX_SEGMENT_BYTES:
            return self._begin(current)
        return current

    def _begin(self, current: Segment | None) -> Segment:
        """A new file; the present one where there is none to be had."""
        if time.monotonic() < self._retry_at:
            if current is None:
                raise OSError(self.failure)
            return current
        try:
            begun = Segment.create(location.find(), location.mark())
        except Exception:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if current is None:
                raise
            return current
        self.put_away()
        self._current = begun
        return begun

    def _failed(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = type(error).__name__
            logger.error(
                "The usage journal cannot be written (%s). Records are kept in memory.", error
            )

    def _succeeded(self) -> None:
        if self.failure is not None:
            self.failure = None
            logger.warning("The usage journal can be written again.")

    def _keep(self, line: bytes) -> None:
        if len(self.memory.lines) < MAX_KEPT:
            self.memory.lines.append(line)
        else:
            logger.critical(
                "A usage record fits neither on the disk nor in memory: %s",
                line.decode("utf-8", "replace"),
            )

    def save_kept(self) -> None:
        """Move lines from memory to a file, as far as that is possible."""
        while self.memory.lines:
            with self.lock:
                if not self._write(self.memory.lines[0]):
                    return
                self.memory.lines.popleft()

    def probe(self) -> None:
        """Find out whether lines can be written, without one to write."""
        with self.lock:
            try:
                if self.failure is not None:
                    self._segment().try_out()
                elif self._current is None:
                    location.find()
            except Exception as error:
                self._failed(error)
            else:
                self._succeeded()

    # --- reading ---------------------------------------------------------------------------------------------

    def sources(self) -> list[Source]:
        with self.lock:
            return [*([self._current] if self._current else []), self.memory, *self._put_away]

    def backlog(self) -> int:
        return sum(source.pending for source in self.sources())

    def put_away(self) -> None:
        """The next line begins a new file."""
        with self.lock:
            if self._current is not None:
                self._put_away.append(self._current)
                self._current = None

    def finish(self, source: Source) -> None:
        """Remove the file of `source` if it was put away and nothing is left in it. Raises
        OSError."""
        with self.lock:
            if source not in self._put_away:
                return
        assert isinstance(source, Segment)
        # A line may have come between the last read and the putting away. None can come any more.
        if _is_finished(source):
            self._drop(source, source.discard)

    def abandon(self, source: Source) -> None:
        """Close a file that cannot be read at present. A later sweep tries it again."""
        with self.lock:
            if source is self._current:
                self.put_away()
        if isinstance(source, Segment):
            self._drop(source, source.close)

    def _drop(self, segment: Segment, end: Callable[[], None]) -> None:
        try:
            end()
        finally:
            with self.lock:
                self._put_away.remove(segment)

    def tidy(self) -> None:
        """Leave a file that has grown and is mostly written."""
        with self.lock:
            current = self._current
            if (
                current is not None
                and current.size > TIDY_SEGMENT_BYTES
                and current.offset > current.size // 2
            ):
                self.put_away()

    def sweep(self) -> bool:
        """Leave a file that is idle or was deleted, and adopt those of dead processes; False where
        more of them wait."""
        with self.lock:
            current = self._current
            if current is not None and (self._is_idle(current) or not current.has_name()):
                self.put_away()
            self._size_at_sweep = current.size if current is not None else 0
        return self._adopt()

    def _is_idle(self, current: Segment) -> bool:
        return current.offset == current.size == self._size_at_sweep

    def _adopt(self) -> bool:
        mark = location.mark()
        for path in sorted(location.find().glob(f"{mark}-*{SUFFIX}")):
            if len(self._put_away) >= MAX_ADOPTED:
                return False
            try:
                self._adopt_one(path)
            except OSError as error:
                logger.warning("The usage journal of another process cannot be read (%s).", error)
        return True

    def _adopt_one(self, path: Path) -> None:
        with self.lock:
            if any(path == own.path for own in (self._current, *self._put_away) if own is not None):
                return
            segment = Segment.adopt(path)
            if segment is not None:
                self._put_away.append(segment)
        if segment is not None:
            segment.count()

    # --- the end ---------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let go of all files. What is left in them is for the process that adopts them."""
        self.save_kept()
        with self.lock:
            self.put_away()
            for segment in list(self._put_away):
                self._drop(segment, segment.discard if _is_finished(segment) else segment.close)
            for line in self.memory.lines:
                logger.critical(
                    "A usage record could be written nowhere: %s", line.decode("utf-8", "replace")
                )
            self.memory.lines.clear()

    def forget(self) -> None:
        """In the child of a fork: close the files of the parent, whose locks would otherwise
        outlive it."""
        for segment in (self._current, *self._put_away):
            if segment is not None:
                segment.close()


def _is_finished(segment: Segment) -> bool:
    """Whether nothing is left in a file that nobody writes to any more. A torn end does not count.
    Raises OSError."""
    left = segment.read(1)
    return not left.lines and not left.torn
