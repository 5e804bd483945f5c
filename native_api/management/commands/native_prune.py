"""Deletes usage records, or kept responses, of a certain age. The totals of the records' days are
kept."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management import CommandError

from native_api.maintenance import kept_responses
from native_api.management.database_errors import DatabaseCommand
from native_api.usage.entry import EPOCH
from native_api.usage.journal import location
from native_api.usage.prune import Pruner

UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
MAX_BATCH: Final = 10_000
"""SQLite accepts this many values in one statement, but not many times more."""


class Command(DatabaseCommand):
    help = (
        "Delete usage records older than the given age. The totals of their days are kept. With "
        "--responses, delete kept responses instead."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than", required=True, metavar="AGE", help="For example 90d, 12h or 4w."
        )
        parser.add_argument(
            "--responses", action="store_true", help="Kept responses instead of usage records."
        )
        parser.add_argument(
            "--batch", type=int, default=1000, help="Records per transaction (%(default)s)."
        )
        parser.add_argument("--dry-run", action="store_true", help="Count, but do not delete.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch"] <= MAX_BATCH:
            raise CommandError(f"--batch must be between 1 and {MAX_BATCH}.")
        before = _parse_age(options["older_than"])
        verb = "would be" if options["dry_run"] else "were"
        if options["responses"]:
            count = kept_responses.prune(
                before, location.database_alias(), dry_run=options["dry_run"]
            )
            self.stdout.write(f"{count} kept responses {verb} deleted.")
            return
        pruner = Pruner(
            before, location.database_alias(), options["batch"], dry_run=options["dry_run"]
        )
        pruner.run()
        self.stdout.write(f"{pruner.deleted} usage records {verb} deleted.")
        for day, count in sorted(pruner.kept.items()):
            self.stderr.write(
                f"{day}: {count} records were kept, because the day's totals differ from them."
            )
        if pruner.kept:
            raise CommandError("Run native_totals --rebuild, then run this command again.")


def _parse_age(age: str) -> datetime:
    """The moment that lies `age` in the past."""
    match = re.fullmatch(r"([0-9]{1,9})([hdw])", age)
    if not match or not int(match[1]):
        raise CommandError(
            f"{age!r} is not a valid age. Give a number and h, d or w, such as 12h, 90d or 4w."
        )
    try:
        moment = datetime.now(UTC) - timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError:
        moment = EPOCH
    if moment <= EPOCH:
        raise CommandError(f"{age} is too long: no record can be that old.")
    return moment
