"""How tests wait: for an event, up to a bound that only a hang reaches.

The one place of the tests that sleeps and reads a clock; `test_clocks.py` checks it. A bound here
decides nothing but when a test that hangs gives up.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

HANG_SECONDS = 60.0
"""A machine with much other work to do needs less than this for any step of a test."""

POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 0.2
"""What takes long is asked less often, since many conditions cost the server a request."""


def until(condition: Callable[[], Any], what: str, seconds: float = HANG_SECONDS) -> Any:
    """The condition's value as soon as it is true. Fails the test after `seconds`."""
    deadline, pause = time.monotonic() + seconds, POLL_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_POLL_SECONDS)
    raise AssertionError(f"Waited {seconds} s in vain for {what}.")


async def auntil(condition: Callable[[], Any], what: str, seconds: float = HANG_SECONDS) -> Any:
    """`until` in a coroutine: others on the loop go on meanwhile. The condition may be one too."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"Waited {seconds} s in vain for {what}.")


def wait_for_next_window(length: float) -> None:
    """Wait until the current window of this many seconds has ended."""
    current = time.time() // length
    until(lambda: time.time() // length > current, "the next window", length + HANG_SECONDS)


def avoid_end_of_window(length: float, seconds: float) -> None:
    """Wait for the next window of `length` seconds if the current one ends within `seconds`."""
    if length - time.time() % length < seconds:
        wait_for_next_window(length)
