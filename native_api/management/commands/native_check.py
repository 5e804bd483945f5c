"""`manage.py native_check`: calls every target once and prints the results. The exit code is 1 if a
target cannot be used."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, Final

from django.core.management import CommandError

from native_api import background
from native_api.catalog import catalog
from native_api.exceptions import ModelNotFound
from native_api.gateway import connection_test
from native_api.logs import new_request_id
from native_api.management.database_errors import DatabaseCommand
from native_api.management.tables import table
from native_api.types import Caller, Target
from native_api.upstream import transport
from native_api.usage import recorder

COLUMNS: Final = ("TARGET", "REACHABLE", "AUTHORISED", "MODEL", "LATENCY", "COST", "PROBLEM")
LABELS: Final = {True: "yes", False: "no", None: "?"}
FLUSH_SECONDS: Final = 10.0


class Command(DatabaseCommand):
    help = "Call every target once, with a tiny request, and print the results."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "models",
            nargs="*",
            help="Models to check, such as gpt-4o or openai/gpt-4o; all models by default.",
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=connection_test.TIMEOUT_SECONDS,
            help="Seconds to wait for each target (%(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        snapshot = catalog.current()
        targets = _find_targets(snapshot, options["models"])
        outcomes = background.run(_probe(targets, options["timeout"])) if targets else []
        recorder.flush(FLUSH_SECONDS)
        if outcomes:
            for line in table([COLUMNS, *(_row(outcome) for outcome in outcomes)]):
                self.stdout.write(line)
        self._report_unchecked(snapshot, targets, options["models"])
        failed = [outcome for outcome in outcomes if not outcome.is_good]
        if failed or not targets:
            raise CommandError(
                f"{len(failed)} of {len(outcomes)} targets cannot be used."
                if targets
                else "There is no target to check."
            )

    def _report_unchecked(
        self, snapshot: catalog.Catalog, targets: list[Target], models: list[str]
    ) -> None:
        for problem in snapshot.problems:
            self.stderr.write(f"{problem.path}: {problem.message}. {problem.hint}")
        idle = sorted(snapshot.providers.keys() - {target.provider.name for target in targets})
        if idle and not models:
            self.stderr.write(
                f"Not checked, because no model uses them: {', '.join(idle)}. Try native_check "
                "PROVIDER/MODEL."
            )


async def _probe(targets: list[Target], seconds: float) -> list[connection_test.ProbeResult]:
    try:
        return await connection_test.probe_all(
            targets, Caller(user_name="native_check"), new_request_id(), seconds
        )
    finally:
        await transport.aclose()


def _find_targets(snapshot: catalog.Catalog, models: Iterable[str]) -> list[Target]:
    try:
        return [
            target
            for model in models or sorted(snapshot.routes)
            for target in snapshot.targets(model)
        ]
    except ModelNotFound as error:
        raise CommandError(error.message) from None


def _row(outcome: connection_test.ProbeResult) -> tuple[str, ...]:
    return (
        str(outcome.target),
        LABELS[outcome.reachable],
        LABELS[outcome.authorised],
        LABELS[outcome.model_exists],
        "" if outcome.milliseconds is None else f"{outcome.milliseconds} ms",
        "" if outcome.cost is None else f"${outcome.cost:f}",
        outcome.problem,
    )
