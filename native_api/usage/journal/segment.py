"""One file of the journal: lines of a checksum and JSON, appended to by one process, read from an
offset.

Rules:
1. A line is written by one call, so a process that dies leaves whole lines and at most one torn one
   at the end. Nothing is synced to the disk: the promise covers the death of the process, not of
   the machine.
2. The file is locked by the process that has it open, so whoever gets the lock knows that its owner
   is dead.
3. A file may vanish between opening and locking it, because another process has just finished with
   it: only a locked file that still has its name counts.
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
HEAD_BYTES: Final = 9
"""Eight hexadecimal digits of CRC-32 and a space."""

OPEN_FLAGS: Final = (
    os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)


def framed(line: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(line), line)


def unframed(line: bytes) -> bytes | None:
    """The JSON of a whole line, None where the line is torn."""
    body = line[HEAD_BYTES:]
    return body if line[:HEAD_BYTES] == b"%08x " % zlib.crc32(body) else None


class Piece(NamedTuple):
    """What one read found: whole lines, how many torn ones lay between them, where to read on, and
    whether to do so now."""

    lines: list[bytes]
    torn: int
    end: int
    more: bool


class Segment:
    """An open and locked file. `offset` is where the lines begin that are not written to the
    database yet.

    `doubtful` tells that the database may have some of these lines already.
    """

    def __init__(self, path: Path, descriptor: int, *, adopted: bool) -> None:
        self.path = path
        self.descriptor = descriptor
        self.doubtful = adopted
        self.size = os.fstat(descriptor).st_size
        self.offset = 0
        self.pending = 0
        self._torn = False

    @classmethod
    def create(cls, folder: Path, mark: str) -> Segment:
        """A new file of this process. Raises OSError."""
        while True:
            path = folder / f"{mark}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
            descriptor = os.open(path, OPEN_FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if _is_held(descriptor):
                return cls(path, descriptor, adopted=False)
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a process that is dead; None where it lives, or another was faster. Raises
        OSError."""
        try:
            descriptor = os.open(path, OPEN_FLAGS)
        except FileNotFoundError:
            return None
        if _is_held(descriptor):
            return cls(path, descriptor, adopted=True)
        os.close(descriptor)
        return None

    def append(self, framed_line: bytes) -> None:
        """Write one line. Raises OSError where it is not written whole; the next line then begins
        on a new one."""
        data = b"\n" + framed_line if self._torn else framed_line
        self._torn = True
        written = os.write(self.descriptor, data)
        self.size += written
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes written")
        self._torn = False
        self.pending += 1

    def try_out(self) -> None:
        """Write an empty line, which readers skip. Raises OSError."""
        self.size += os.write(self.descriptor, b"\n")

    def read(self, limit: int) -> Piece:
        """Up to `limit` whole lines from `offset`. Raises OSError."""
        data, at_end = self._read_lines()
        lines: list[bytes] = []
        torn = start = 0
        while len(lines) < limit and (end := data.find(b"\n", start)) >= 0:
            line = unframed(data[start:end])
            if line is not None:
                lines.append(line)
            elif end > start:
                torn += 1
            start = end + 1
        return Piece(lines, torn, self.offset + start, not at_end or b"\n" in data[start:])

    def _read_lines(self) -> tuple[bytes, bool]:
        """Bytes from `offset` with at least one line's end, where there is one, and whether nothing
        follows them."""
        wanted = READ_BYTES
        while True:
            data = _read(self.descriptor, wanted, self.offset)
            if b"\n" in data or len(data) < wanted:
                return data, len(data) < wanted
            wanted *= 2

    def settle(self, piece: Piece) -> None:
        """The lines of `piece` are in the database, or rejected."""
        self.offset = piece.end
        self.pending = max(0, self.pending - len(piece.lines))

    def count(self) -> None:
        """Set `pending` by counting the lines after `offset`. Raises OSError."""
        position, self.pending = self.offset, 0
        while data := _read(self.descriptor, READ_BYTES, position):
            self.pending += data.count(b"\n")
            position += len(data)

    def has_name(self) -> bool:
        """Whether the file can still be found by others."""
        return os.fstat(self.descriptor).st_nlink > 0

    def discard(self) -> None:
        """Remove the file: all that it holds is settled."""
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


def _is_held(descriptor: int) -> bool:
    return locks.hold(descriptor) and os.fstat(descriptor).st_nlink > 0


if hasattr(os, "pread"):
    _read = os.pread
else:

    def _read(descriptor: int, count: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)
