"""Moves records from the journal to the database, one round at a time. Knows no threads: the
recorder calls it from one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.db import close_old_connections, connections

from native_api.logs import get_logger
from native_api.usage import writer
from native_api.usage.entry import UNREADABLE, UsageEntry
from native_api.usage.journal import dead_letters, location
from native_api.usage.journal.journal import Journal, Source
from native_api.usage.journal.segment import Piece
from native_api.usage.last_used import KeyTouches

logger = get_logger("native_api.usage")

BATCH: Final = 200
"""Larger ones save little and keep the interpreter from the requests for longer at a time."""

ROUND_BATCHES: Final = 20
"""Of one source, before the others have their turn."""

SWEEP_SECONDS: Final = 10.0


class Drain:
    """`rest` is called after each batch with the seconds of processor time that it took."""

    def __init__(
        self, journal: Journal, touches: KeyTouches, rest: Callable[[float], None]
    ) -> None:
        self.journal = journal
        self.rejected = 0
        self._touches = touches
        self._rest = rest
        self._next_sweep = 0.0

    @property
    def until_sweep(self) -> float:
        """Seconds until left-overs are looked for again."""
        return max(0.0, self._next_sweep - time.monotonic())

    def round(self, *, sweep: bool) -> bool:
        """Write what there is, each source in turn; True where more is left. Raises where the
        database is out of order."""
        close_old_connections()
        if sweep or not self.until_sweep:
            self._sweep()
        alias = location.database()
        self._touches.write(alias)
        self.journal.save_kept()
        more = False
        for source in self.journal.sources():
            more |= self._write_some(source, alias)
        self.journal.tidy()
        return more or not self.until_sweep

    def _sweep(self) -> None:
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        try:
            if not self.journal.sweep():
                self._next_sweep = 0.0
        except OSError:
            self.journal.probe()

    def _write_some(self, source: Source, alias: str) -> bool:
        """Write some batches of `source`; True where it may have more."""
        for _ in range(ROUND_BATCHES):
            began = time.thread_time()
            try:
                piece = source.read(BATCH)
            except OSError as error:
                logger.error(
                    "A file of the usage journal cannot be read (%s). It is tried again later.",
                    error,
                )
                self.journal.abandon(source)
                return False
            self._write(piece, source, alias)
            self._rest(time.thread_time() - began)
            if not piece.more:
                self.journal.finish(source)
                return False
        return True

    def _write(self, piece: Piece, source: Source, alias: str) -> None:
        entries, refused = _entries_of(piece.lines)
        try:
            refused += [
                (entry.to_json(), error)
                for entry, error in writer.write(entries, alias, doubtful=source.doubtful)
            ]
        except Exception:
            source.doubtful = True
            raise
        if piece.torn:
            logger.warning("%d torn lines in the usage journal were skipped.", piece.torn)
        for line, error in refused:
            self.rejected += 1
            dead_letters.keep(line, error)
        source.settle(piece)

    def disconnect(self) -> None:
        """An idle connection is in the way of those who want to drop or move the database."""
        try:
            connections[location.database()].close()
        except Exception as error:
            logger.debug("The recorder's connection cannot be closed (%s).", type(error).__name__)


def _entries_of(lines: list[bytes]) -> tuple[list[UsageEntry], list[tuple[bytes, Exception]]]:
    """The entries, and the lines that are none."""
    entries: list[UsageEntry] = []
    refused: list[tuple[bytes, Exception]] = []
    for line in lines:
        try:
            entries.append(UsageEntry.from_json(line))
        except UNREADABLE as error:
            refused.append((line, error))
    return entries, refused
