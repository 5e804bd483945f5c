"""An app of a site's own that hears the gateway's signals and writes down what it heard, a JSON
object a line, into the file HEARD.

Its receivers misbehave as some sites' do: one raises every time, and one blocks for as long as the
file HEARD.block is there.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from django.apps import AppConfig


class Listening(AppConfig):
    name = "tests.limits"
    label = "listening"

    def ready(self) -> None:
        from native_api import signals

        for name in ("limit_reached", "budget_threshold", "usage_recorded", "key_used_first_time"):
            signal = getattr(signals, name)
            signal.connect(raises, weak=False)
            signal.connect(Hears(name), weak=False)
            signal.connect(blocks, weak=False)


class Hears:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, sender: Any, **told: Any) -> None:
        told.pop("signal")
        line = {
            "signal": self.name,
            "sender": sender.__name__,
            "process": os.getpid(),
            **{key: shown(value) for key, value in told.items()},
        }
        with Path(os.environ["HEARD"]).open("a") as file:
            file.write(json.dumps(line) + "\n")


def shown(value: Any) -> Any:
    """What a row or an entry says, as far as tests ask for it."""
    if isinstance(value, str | int | dict):
        return value
    return {
        name: str(getattr(value, name))
        for name in ("pattern", "subject", "user_name", "model", "status")
        if hasattr(value, name)
    }


def raises(sender: Any, **told: Any) -> None:
    raise RuntimeError("a receiver with a bug")


def blocks(sender: Any, **told: Any) -> None:
    deadline = time.monotonic() + 30
    while Path(os.environ["HEARD"] + ".block").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
