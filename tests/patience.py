"""An app of the test site that lets calls of the database and the cache wait for longer than in
production: a machine with much other work to do is not an outage."""

from __future__ import annotations

import os
from typing import Any

from django.apps import AppConfig

FACTOR = 30


class Patience(AppConfig):
    name = "tests.patience"

    def ready(self) -> None:
        if os.environ.get("PATIENCE") != "production":
            stretch_executors()
            stretch_waiting()


def stretch_executors() -> None:
    from native_api.background import executors

    for executor in (executors.database, executors.cache):
        executor.patience *= FACTOR


def stretch_waiting() -> None:
    """Also what each use of an executor waits. Below a second, it is a test's own value."""
    from native_api.background.waiting import Waiting

    begin: Any = Waiting.__init__

    def begin_stretched(
        self: Waiting, resource: Any, call: Any, seconds: float, is_evidence: bool
    ) -> None:
        stretched = seconds * FACTOR if seconds >= 1 else seconds
        begin(self, resource, call, stretched, is_evidence)

    Waiting.__init__ = begin_stretched  # type: ignore[method-assign]
