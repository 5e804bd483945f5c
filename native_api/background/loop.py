"""The event loop of processes that have none of their own: one in the background, shared by all
synchronous callers."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a synchronous close waits for the upstream connection to be gone."""


class BackgroundLoop:
    """The process's own event loop, in a daemon thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = self._start(), os.getpid()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = _new_loop()
        threading.Thread(target=loop.run_forever, name="native-api-loop", daemon=True).start()
        # Not at import: what is registered last is called first, and streams that end here are
        # recorded after that.
        atexit.register(self._end, os.getpid())
        return loop

    def _end(self, pid: int) -> None:
        """When the process ends: close what the loop's generators hold, such as connections to
        providers."""
        if self._loop is not None and pid == os.getpid():
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(
                    self._loop.shutdown_asyncgens(), self._loop
                ).result(CLOSE_TIMEOUT)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


background = BackgroundLoop()


def _forget_lock_of_parent() -> None:
    background._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock_of_parent)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and wait for its result. For synchronous callers."""
    return asyncio.run_coroutine_threadsafe(coroutine, background.get()).result()


async def relay(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and await its result on another loop. For async views
    under WSGI."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, background.get()))
