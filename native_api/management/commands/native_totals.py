"""Compares the totals of each day with its records, or rebuilds them.

The exit code is 1 if something differs.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management import CommandError

from native_api.management.database_errors import DatabaseCommand
from native_api.models.fields import UNITS
from native_api.usage import reconcile
from native_api.usage.journal import location
from native_api.usage.reconcile import Comparison
from native_api.usage.totals_rows import SUM_FIELDS, Totals


class Command(DatabaseCommand):
    help = (
        "Compare the totals of each day with its usage records. "
        "The gateway may go on recording in the meantime."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help="Rebuild totals that differ. Days with deleted records are kept as they are.",
        )
        period = parser.add_mutually_exclusive_group()
        period.add_argument(
            "--day",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="Only this day, in the site's time zone.",
        )
        period.add_argument(
            "--since",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="This day and all days after it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        alias = location.database_alias()
        days = (
            [options["day"]]
            if options["day"]
            else reconcile.days_with_usage(alias, options["since"])
        )
        compare = reconcile.rebuild if options["rebuild"] else reconcile.compare
        different = 0
        for day in days:
            comparison = compare(day, alias)
            self._report(comparison, is_rebuild=options["rebuild"])
            is_unresolved = comparison.is_pruned or not options["rebuild"]
            different += not comparison.agrees and is_unresolved
        if different:
            raise CommandError(f"{different} of {len(days)} days differ.")
        self.stdout.write(f"Days compared: {len(days)}. The totals are correct.")

    def _report(self, comparison: Comparison, *, is_rebuild: bool) -> None:
        day = comparison.day
        if comparison.agrees:
            if is_rebuild and comparison.is_pruned and comparison.stored:
                self.stdout.write(f"{day}: not rebuilt, because records of this day were deleted.")
            return
        difference = (
            f"the totals have {_summary(comparison.stored)}, "
            f"the records {_summary(comparison.counted)}"
        )
        if comparison.is_pruned:
            self.stdout.write(
                f"{day}: {difference}; not rebuilt, because other records were deleted."
            )
        else:
            self.stdout.write(f"{day}: {difference}{'; rebuilt' if is_rebuild else ''}.")


def _summary(totals: Totals) -> str:
    requests, tokens, cost_units = (
        sum(sums[SUM_FIELDS.index(name)] for sums in totals.values())
        for name in ("requests", "total_tokens", "cost_units")
    )
    return f"{requests} requests, {tokens} tokens, {cost_units * UNITS:f} USD"
