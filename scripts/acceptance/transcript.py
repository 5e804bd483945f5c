"""Writes TRANSCRIPT.md: what each client did in front of each wire in the last full run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from scripts.acceptance.cases import Stage
from scripts.acceptance.run import Outcome

PAGE: Final = Path(__file__).resolve().parent / "TRANSCRIPT.md"
QUOTE_LENGTH: Final = 400

INTRODUCTION: Final = """# Transcript

<!-- Made by `python -m scripts.acceptance`. -->

Real clients, in their newest versions, with a gateway in front of scripted providers. "Printed" is
what the client or its program printed, "provider" how many requests reached the provider and were
well-formed, "records" the usage records. See CONTRIBUTING.md to run it.
"""


def write(outcomes: Sequence[Outcome], versions: Mapping[str, str], today: date) -> None:
    lines = [INTRODUCTION, f"Run on {today.isoformat()}.", "", "| client | version |", "|---|---|"]
    lines += [f"| {name} | {version} |" for name, version in versions.items()]
    for title, same_title in groupby(sorted(outcomes, key=title_of), title_of):
        group = list(same_title)
        lines += ["", f"## {title}", "", *commands(group[0].stage)]
        lines += ["| wire | printed | provider | records |", "|---|---|---|---|", *map(row, group)]
    PAGE.write_text("\n".join(lines) + "\n")


def title_of(outcome: Outcome) -> str:
    case = outcome.stage.case
    return f"{case.client}: {case.scenario}"


def commands(stage: Stage) -> list[str]:
    """What was run, of the first wire."""
    return ["```sh", *map(hide_places, stage.commands), "```", ""]


def row(outcome: Outcome) -> str:
    stage = outcome.stage
    printed = "<br>".join(quote(text) for text in stage.said)
    if outcome.problem:
        printed = f"**FAILED** {quote(outcome.problem)}"
    cells = (stage.case.wire, printed, str(len(stage.provider.inputs)), ", ".join(records(stage)))
    return f"| {' | '.join(cells)} |"


def quote(text: str) -> str:
    """A short line without addresses and folders of this machine."""
    line = hide_places(re.sub(r"\s+", " ", text))
    short = line if len(line) <= QUOTE_LENGTH else f"{line[:QUOTE_LENGTH]}…"
    return short.replace("|", "\\|").replace("<", "&lt;")


def hide_places(text: str) -> str:
    text = re.sub(r"https?://127\.0\.0\.1:\d+(/[\w./-]*)?", "URL", text)
    return re.sub(r"(?<!\w)/(?:[\w.+-]+/)+([\w.+-]*)", r"\1", text)


def records(stage: Stage) -> Iterator[str]:
    counts = Counter(
        f"{record['endpoint']} {'streamed ' if record['stream'] else ''}{record['status']}"
        for record in stage.records
    )
    for name, count in sorted(counts.items()):
        yield f"{count} {name}"
