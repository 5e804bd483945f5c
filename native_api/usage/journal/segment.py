"""One file of the journal: lines of a checksum and JSON. One process appends to it and reads it.

Rules:
1. A line is written by one call, so a process that dies leaves complete lines and at most one torn
   line at the end. Nothing is synced to the disk: records survive the death of the process, not of
   the machine.
2. The process that has the file open holds its lock, so whoever gets the lock knows that the owner
   is dead.
3. A file may be removed between opening and locking it, because another process has just finished
   it: a file counts only if it still has its name once it is locked.
"""

from __future__ import annotations

import os
import secrets
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from native_api.usage.journal import locks

SUFFIX: Final = ".journal"
READ_BYTES: Final = 256 * 1024
CHECKSUM_BYTES: Final = 9
"""Eight hexadecimal digits of CRC-32 and a space."""

OPEN_FLAGS: Final = (
    os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)


def add_checksum(line: bytes) -> bytes:
    """The line as it is in the file."""
    return b"%08x %b\n" % (zlib.crc32(line), line)


def remove_checksum(line: bytes) -> bytes | None:
    """The JSON of a complete line; None if the line is torn."""
    body = line[CHECKSUM_BYTES:]
    return body if line[:CHECKSUM_BYTES] == b"%08x " % zlib.crc32(body) else None


class LineBatch(NamedTuple):
    """The result of one read: complete lines and the number of torn lines between them.

    The next read begins at `end`; `has_more` says whether more lines can be read now.
    """

    lines: list[bytes]
    torn: int
    end: int
    has_more: bool


class Segment:
    """An open and locked file.

    The lines from `offset` on are not written to the database yet, or, if `may_be_written`, not
    known to be.
    """

    def __init__(self, path: Path, descriptor: int, *, adopted: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        self.may_be_written = adopted
        self.size = os.fstat(descriptor).st_size
        self.offset = 0
        self.pending = 0
        self._is_torn = False

    @classmethod
    def create(cls, directory: Path, fingerprint: str) -> Segment:
        """A new file of this process. Raises OSError."""
        while True:
            path = directory / f"{fingerprint}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
            descriptor = os.open(path, OPEN_FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if _lock(descriptor):
                return cls(path, descriptor, adopted=False)
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a dead process. Raises OSError.

        None if the process is alive, or another one has adopted the file.
        """
        try:
            descriptor = os.open(path, OPEN_FLAGS)
        except FileNotFoundError:
            return None
        if _lock(descriptor):
            return cls(path, descriptor, adopted=True)
        os.close(descriptor)
        return None

    def append(self, line: bytes) -> None:
        """Write one line that has its checksum. Raises OSError if it is not written completely.

        The line after a torn one begins with a line break.
        """
        data = b"\n" + line if self._is_torn else line
        self._is_torn = True
        written = os.write(self.descriptor, data)
        self.size += written
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes written")
        self._is_torn = False
        self.pending += 1

    def append_empty_line(self) -> None:
        """Test whether the file can be written; readers skip the line. Raises OSError."""
        self.size += os.write(self.descriptor, b"\n")

    def read(self, limit: int) -> LineBatch:
        """Up to `limit` complete lines from `offset`. Raises OSError."""
        data, is_at_end = self._read_lines()
        lines: list[bytes] = []
        torn = start = 0
        while len(lines) < limit and (end := data.find(b"\n", start)) >= 0:
            line = remove_checksum(data[start:end])
            if line is not None:
                lines.append(line)
            elif end > start:
                torn += 1
            start = end + 1
        return LineBatch(lines, torn, self.offset + start, not is_at_end or b"\n" in data[start:])

    def _read_lines(self) -> tuple[bytes, bool]:
        """The bytes from `offset`, and whether the file ends with them.

        They contain at least one line break, if there is one.
        """
        count = READ_BYTES
        while True:
            data = _read(self.descriptor, count, self.offset)
            if b"\n" in data or len(data) < count:
                return data, len(data) < count
            count *= 2

    def mark_done(self, batch: LineBatch) -> None:
        """The lines of the batch are in the database, or rejected."""
        self.offset = batch.end
        self.pending = max(0, self.pending - len(batch.lines))

    def count_pending(self) -> None:
        """Set `pending` to the number of lines after `offset`. Raises OSError."""
        position, self.pending = self.offset, 0
        while data := _read(self.descriptor, READ_BYTES, position):
            self.pending += data.count(b"\n")
            position += len(data)

    def has_name(self) -> bool:
        """Whether other processes can still find the file."""
        return os.fstat(self.descriptor).st_nlink > 0

    def remove(self) -> None:
        """Remove the file, all of whose lines are done."""
        if os.name == "nt":
            self.close()
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock the file; False if another process has the lock, or has removed the file."""
    return locks.try_lock(descriptor) and os.fstat(descriptor).st_nlink > 0


if hasattr(os, "pread"):
    _read = os.pread
else:

    def _read(descriptor: int, count: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)
