"""Runs the clients and writes the transcript: python -m scripts.acceptance"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from scripts.acceptance import transcript
from scripts.acceptance.installation import NotInstalled, install
from scripts.acceptance.run import Outcome, all_cases, run_cases


def main() -> int:
    """The exit code: 0 if every client did what it should."""
    # Some types of the SDKs allow more members than they name, which the checks leave as it is.
    warnings.filterwarnings("ignore", message="TypedDict class .* allows extra items")
    options = parse_options()
    cases = [case for case in all_cases() if any(name in case.name for name in options.only)]
    with opened_folder(options.folder) as folder, tempfile.TemporaryDirectory() as run_folder:
        try:
            clients = install(folder)
            outcomes, problems = run_cases(cases, clients, Path(run_folder), report)
        except NotInstalled as error:
            sys.stdout.write(f"{error}\n")
            return 1
        if options.only == [""]:
            transcript.write(outcomes, clients.versions(), datetime.now(UTC).date())
    failed = sum(bool(outcome.problem) for outcome in outcomes)
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    sys.stdout.write(f"{len(outcomes) - failed} passed, {failed} failed\n")
    return 1 if failed or problems or not outcomes else 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.acceptance", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        help="only cases whose names contain one of these, such as codex or claude-code-api-key; "
        "the transcript is not written then",
    )
    parser.add_argument(
        "--folder", type=Path, help="where the clients are installed, and stay for the next run"
    )
    return parser.parse_args()


@contextlib.contextmanager
def opened_folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def report(outcome: Outcome) -> None:
    """Print how a case ended."""
    name = outcome.stage.case.name
    sys.stdout.write(f"{'FAILED' if outcome.problem else 'ok':<7}{name} {outcome.seconds:.1f} s\n")
    if outcome.problem:
        sys.stdout.write(f"{outcome.problem}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
