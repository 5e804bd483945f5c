"""Compares the totals of each day with its records, or makes them anew. The exit code is 1 where
something differs."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management import BaseCommand, CommandError

from native_api.models.fields import UNITS
from native_api.usage import reconcile
from native_api.usage.journal import location
from native_api.usage.reconcile import Comparison
from native_api.usage.totals import SUMS, Totals


class Command(BaseCommand):
    help = "Compare the totals of each day with its usage records. The gateway may go on recording."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help="Make the totals that differ anew. Days with deleted records are kept.",
        )
        period = parser.add_mutually_exclusive_group()
        period.add_argument(
            "--day",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="Only this day, of the site's time zone.",
        )
        period.add_argument(
            "--since",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="This day and all after it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        alias = location.database()
        days = [options["day"]] if options["day"] else reconcile.days(alias, options["since"])
        look = reconcile.rebuild if options["rebuild"] else reconcile.compare
        wrong = 0
        for day in days:
            found = look(day, alias)
            self._tell(found, rebuilt=options["rebuild"])
            wrong += not found.agrees and (found.pruned or not options["rebuild"])
        if wrong:
            raise CommandError(f"{wrong} of {len(days)} days differ.")
        self.stdout.write(f"{len(days)} days are as they should be.")

    def _tell(self, found: Comparison, *, rebuilt: bool) -> None:
        if found.agrees:
            if rebuilt and found.pruned and found.kept:
                self.stdout.write(f"{found.day}: kept, since records of it were deleted.")
            return
        both = f"the totals have {_said(found.kept)}, the records {_said(found.counted)}"
        if found.pruned:
            self.stdout.write(
                f"{found.day}: {both}; kept, since others of its records were deleted."
            )
        else:
            self.stdout.write(f"{found.day}: {both}{'; made anew' if rebuilt else ''}.")


def _said(totals: Totals) -> str:
    requests = sum(sums[SUMS.index("requests")] for sums in totals.values())
    tokens = sum(sums[SUMS.index("total_tokens")] for sums in totals.values())
    cost = sum(sums[SUMS.index("cost_units")] for sums in totals.values()) * UNITS
    return f"{requests} requests, {tokens} tokens, {cost:f} USD"
