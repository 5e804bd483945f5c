"""Moves records from the journal to the database, one round at a time.

Knows no threads: the recorder calls it from its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.db import close_old_connections, connections

from native_api.logs import get_logger
from native_api.usage import writer
from native_api.usage.entry import INVALID_LINE_ERRORS, UsageEntry
from native_api.usage.journal import dead_letters, location
from native_api.usage.journal.journal import Journal, LineSource
from native_api.usage.journal.segment import LineBatch
from native_api.usage.last_used import KeyUseTimes

logger = get_logger("native_api.usage")

LINES_PER_BATCH: Final = 200
"""Larger batches save little, and keep the interpreter from requests for longer at a time."""

BATCHES_PER_ROUND: Final = 20
"""Of one source, before the others get their turn."""

SWEEP_SECONDS: Final = 10.0

RejectedLine = tuple[bytes, Exception]


class JournalDrain:
    """`rest` is called after each batch with the seconds of processor time that it took."""

    def __init__(
        self, journal: Journal, key_uses: KeyUseTimes, rest: Callable[[float], None]
    ) -> None:
        self.journal = journal
        self.rejected = 0
        self._key_uses = key_uses
        self._rest = rest
        self._next_sweep = 0.0

    @property
    def seconds_until_sweep(self) -> float:
        """Until files of dead processes are looked for again."""
        return max(0.0, self._next_sweep - time.monotonic())

    def run_round(self, *, sweep: bool) -> bool:
        """Write what there is, each source in turn; True if more is left.

        Raises if the database is not available.
        """
        close_old_connections()
        if sweep or not self.seconds_until_sweep:
            self._sweep()
        alias = location.database_alias()
        self._key_uses.write(alias)
        self.journal.move_memory_to_file()
        has_more = False
        for source in self.journal.sources():
            has_more |= self._write_source(source, alias)
        self.journal.retire_mostly_written()
        return has_more or not self.seconds_until_sweep

    def _sweep(self) -> None:
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        try:
            if not self.journal.sweep():
                self._next_sweep = 0.0
        except OSError:
            self.journal.check_writable()

    def _write_source(self, source: LineSource, alias: str) -> bool:
        """Write some batches of `source`; True if it may have more."""
        for _ in range(BATCHES_PER_ROUND):
            began = time.thread_time()
            try:
                batch = source.read(LINES_PER_BATCH)
            except OSError as error:
                logger.error(
                    "A file of the usage journal cannot be read (%s). It is tried again later.",
                    error,
                )
                self.journal.close_unreadable(source)
                return False
            self._write_batch(batch, source, alias)
            self._rest(time.thread_time() - began)
            if not batch.has_more:
                self.journal.remove_if_done(source)
                return False
        return True

    def _write_batch(self, batch: LineBatch, source: LineSource, alias: str) -> None:
        entries, rejected = _parse(batch.lines)
        try:
            rejected += [
                (entry.to_json(), error)
                for entry, error in writer.write(
                    entries, alias, may_be_written=source.may_be_written
                )
            ]
        except Exception:
            source.may_be_written = True
            raise
        if batch.torn:
            logger.warning("%d torn lines in the usage journal were skipped.", batch.torn)
        for line, error in rejected:
            self.rejected += 1
            dead_letters.store(line, error)
        source.mark_done(batch)

    def close_connection(self) -> None:
        """An idle connection would keep the database from being dropped or moved."""
        try:
            connections[location.database_alias()].close()
        except Exception as error:
            logger.debug("The recorder's connection cannot be closed (%s).", type(error).__name__)


def _parse(lines: list[bytes]) -> tuple[list[UsageEntry], list[RejectedLine]]:
    """The entries, and the lines that are not entries."""
    entries: list[UsageEntry] = []
    rejected: list[RejectedLine] = []
    for line in lines:
        try:
            entries.append(UsageEntry.from_json(line))
        except INVALID_LINE_ERRORS as error:
            rejected.append((line, error))
    return entries, rejected
