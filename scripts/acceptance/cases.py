"""A case: one client in front of one wire. A stage: what a case runs on, and what it checks."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.acceptance.gateway import Gateway
from scripts.acceptance.installation import Clients
from scripts.acceptance.upstreams import Provider
from tests.clients.model import Turn

RUN_SECONDS: Final = 90.0
"""For one run of a client."""

CHAT, RESPONSES, MESSAGES = "chat/completions", "responses", "messages"
"""The endpoints that clients call, as records name them."""
RICH, POOR = "ann", "bob"
"""A user without limits, and one whose budget is spent."""
THROTTLED: Final = "throttled"
"""A key that may ask once an hour."""


class CheckFailed(Exception):
    """The client, the provider or the records do not say what they should."""


@dataclass(frozen=True)
class Case:
    """`route`: a name of the site's for the model, or a pattern; else it is `provider/model`.
    `provider_model`: the provider's name of it, if not the wire's first.
    `keeps_responses`: at the gateway that keeps responses. `breaks_streams`: the provider cuts
    every stream off in the middle."""

    client: str
    scenario: str
    wire: str
    play: Callable[[Stage], None]
    route: str = ""
    provider_model: str = ""
    user: str = RICH
    keeps_responses: bool = False
    breaks_streams: bool = False

    @property
    def name(self) -> str:
        """Also the name of its provider, its key and its folder."""
        text = f"{self.client} {self.scenario} {self.wire}".lower()
        return re.sub("[^a-z0-9]+", "-", text).strip("-")


@dataclass(frozen=True)
class Finished:
    """A client that has ended, and what it printed."""

    code: int
    output: str
    errors: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.output[-3000:]}\n{self.errors[-3000:]}"


@dataclass
class Stage:
    """What a case runs on. `commands` and `said` are for the transcript."""

    case: Case
    clients: Clients
    gateway: Gateway
    provider: Provider
    folder: Path
    proxy: str
    commands: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    records: list[sqlite3.Row] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.gateway.url}/v1"

    @property
    def key(self) -> str:
        return self.gateway.keys[self.case.name]

    @property
    def model(self) -> str:
        """The name that the client sends."""
        return self.case.route or f"{self.case.name}/{self.provider.model}"

    @property
    def can_think(self) -> bool:
        return self.provider.wire.can_think(self.provider.model)

    def run(self, command: Sequence[str | Path], **environment: str) -> Finished:
        """Run a client in an empty home. Whatever it asks of other hosts goes to a proxy that
        refuses it, and fails the case."""
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "HTTP_PROXY": self.proxy,
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self.commands.append(shlex.join([Path(command[0]).name, *map(str, command[1:])]))
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                [str(part) for part in command],
                env={**own, **environment},
                cwd=work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=RUN_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"It did not end in {RUN_SECONDS:.0f} s: {error.output!r}") from error
        return Finished(done.returncode, done.stdout, done.stderr)

    def check(self, condition: Any, message: str) -> None:
        if not condition:
            raise CheckFailed(message)

    def check_text(self, finished: Finished, text: str) -> None:
        """The client printed this."""
        printed = finished.output + finished.errors
        self.check(text in printed, f"It did not print {text!r}: {finished}")
        self.said.append(next(line for line in printed.splitlines() if text in line))

    def check_provider(self) -> None:
        """Requests reached it, it refused none, and none had the client's key."""
        provider = self.provider
        self.check(not provider.refusals, f"The provider refused: {provider.refusals}")
        self.check(provider.inputs, "Nothing reached the provider.")
        for received in provider.received:
            sent = f"{received.headers}{received.raw!r}"
            self.check(self.key not in sent, "The client's key reached the provider.")

    def check_thoughts(self, is_asked: Callable[[Turn], Any]) -> None:
        """Whenever the last turn was such and the model thought, its earlier thoughts came back."""
        if not self.can_think:
            return
        asked = [
            model_input.turns
            for model_input in self.provider.inputs
            if model_input.wants_thinking and is_asked(model_input.turns[-1])
        ]
        self.check(asked, "The model was never asked so that it thinks.")
        turns = [turn for turns in asked for turn in turns if turn.role == "model"]
        self.check(turns, "No turn of the model came back to it.")
        forgotten = [turn for turn in turns if not turn.thoughts]
        self.check(not forgotten, f"Its thoughts did not come back to the model: {forgotten}")

    def check_records(self, endpoint: str, statuses: Mapping[str, int] | None = None) -> None:
        """One record for each request that reached the provider. `statuses`: status -> how many;
        by default all are ok. What the gateway refused is not counted if it is not in there."""
        expected = Counter(statuses or {"ok": len(self.provider.inputs)})
        for status, count in expected.items():
            self.records = self.gateway.wait_for_records(
                self.case.name, count, endpoint=endpoint, status=status
            )
        answered = [record for record in self.records if record["endpoint"] == endpoint]
        found = Counter(record["status"] for record in answered)
        if "refused" not in expected:
            del found["refused"]
        self.check(found == expected, f"Records: expected {expected}, found {found}")
        for record in answered:
            if record["status"] == "ok":
                self._check_tokens(record)

    def check_refused(self, endpoint: str) -> None:
        """Nothing reached the provider, and the records say that the budget is spent."""
        self.check(not self.provider.received, "It reached the provider.")
        self.records = self.gateway.wait_for_records(self.case.name, 1)
        found = {(row["endpoint"], row["status"], row["error_code"]) for row in self.records}
        expected = {(endpoint, "refused", "budget_exceeded")}
        self.check(found == expected, f"Records: expected {expected}, found {found}")

    def _check_tokens(self, record: sqlite3.Row) -> None:
        names = ("prompt_tokens", "completion_tokens", "cached_tokens")
        counted = tuple(record[name] for name in names)
        self.check(counted == (20, 12, 5), f"Tokens in a record: {counted}")
        self.check(float(record["cost"]) > 0, "A record without a cost.")
