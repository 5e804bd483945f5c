"""An app of the site that records the gateway's signals in the file HEARD, a JSON object per line.

Its receivers misbehave like those of some sites: one raises every time, and one blocks while the
file HEARD.block exists.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from tests.waiting import until


class SignalRecorder(AppConfig):
    name = "tests.limits"
    label = "listening"

    def ready(self) -> None:
        from native_api import signals

        for name in ("limit_reached", "budget_threshold", "usage_recorded", "key_used_first_time"):
            signal = getattr(signals, name)
            signal.connect(fail, weak=False)
            signal.connect(Receiver(name), weak=False)
            signal.connect(block_while_asked, weak=False)


class Receiver:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, sender: Any, **values: Any) -> None:
        values.pop("signal")
        line = {
            "signal": self.name,
            "sender": sender.__name__,
            "process": os.getpid(),
            **{key: describe(value) for key, value in values.items()},
        }
        with Path(os.environ["HEARD"]).open("a") as file:
            file.write(json.dumps(line) + "\n")


def describe(value: Any) -> Any:
    """The attributes of a row or an entry that tests look at."""
    if isinstance(value, str | int | dict):
        return value
    return {
        name: str(getattr(value, name))
        for name in ("pattern", "subject", "user_name", "model", "status")
        if hasattr(value, name)
    }


def fail(sender: Any, **values: Any) -> None:
    raise RuntimeError("a receiver with a bug")


def block_while_asked(sender: Any, **values: Any) -> None:
    block = Path(os.environ["HEARD"] + ".block")
    until(lambda: not block.exists(), "the test to let the receiver go on")
