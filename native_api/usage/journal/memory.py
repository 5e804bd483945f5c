"""Lines that no file could take, kept in memory until one can."""

from __future__ import annotations

from collections import deque
from itertools import islice

from native_api.usage.journal.segment import LineBatch


class MemoryBuffer:
    """A source of lines, like a file. The journal limits how many there are."""

    def __init__(self) -> None:
        self.may_be_written = False
        self.lines: deque[bytes] = deque()

    @property
    def pending(self) -> int:
        return len(self.lines)

    def read(self, limit: int) -> LineBatch:
        lines = list(islice(self.lines.copy(), limit))
        return LineBatch(lines, 0, len(lines), len(lines) == limit)

    def mark_done(self, batch: LineBatch) -> None:
        for _ in batch.lines:
            self.lines.popleft()
