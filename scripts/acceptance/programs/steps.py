"""What the programs share: the setup that the harness passes on, and steps. Each step prints one
line of JSON: its name, and what the client said or the error that it raised."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETUP: dict[str, Any] = json.loads(os.environ["ACCEPTANCE"])
"""The address, key and model of the gateway, and the texts of the scripted model."""

FOLDER = Path(__file__).resolve().parent
Step = Callable[[], Any]


def weather(city: str) -> str:
    """The temperature in a city."""
    return str(SETUP["degrees"][city])


def difference(warmer: int, colder: int) -> str:
    """By how many degrees one is warmer."""
    return str(warmer - colder)


FUNCTIONS: dict[str, Callable[..., str]] = {"weather": weather, "difference": difference}


def parameters(**types: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in types.items()},
        "required": list(types),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "weather": parameters(city="string"),
    "difference": parameters(warmer="integer", colder="integer"),
}


def call(name: str, arguments: dict[str, Any]) -> str:
    return FUNCTIONS[name](**arguments)


def equal(found: Any, expected: Any) -> Any:
    """`found`. Raises AssertionError if it is not what was expected."""
    if found != expected:
        raise AssertionError(f"expected {expected!r}, found {found!r}")
    return found


def run(*steps: Step) -> None:
    """Run the steps, each on its own. The exit code is 1 if one of them failed."""
    results = [run_step(step) for step in steps]
    sys.exit(not all(results))


def run_step(step: Step) -> bool:
    try:
        said = step()
    except Exception as error:
        print_line(step=step.__name__, error=describe(error))
        return False
    print_line(step=step.__name__, said=str(said))
    return True


def describe(error: Exception) -> str:
    """The error, and the lines of the program that led to it."""
    lines = [
        f"{frame.name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == FOLDER and frame.name != "run_step"
    ]
    return f"{type(error).__name__}: {str(error)[:1500]} ({', '.join(lines)})"


def print_line(**members: str) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()
