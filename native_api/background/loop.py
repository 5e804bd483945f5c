"""The event loop for synchronous callers (WSGI, Python code): one per process, in a thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from native_api.forks import reset_after_fork

T = TypeVar("T")

CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""How long a synchronous close waits until the upstream connection is closed."""


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

    def after_fork(self) -> None:
        """Replace the lock: one held by a thread of the parent would never be released."""
        self._lock = threading.Lock()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = _new_loop()
        threading.Thread(target=loop.run_forever, name="native-api-loop", daemon=True).start()
        # Not at import: handlers registered last run first, and the streams that end here are
        # recorded by one that was registered earlier.
        atexit.register(self._close_generators, os.getpid())
        return loop

    def _close_generators(self, pid: int) -> None:
        """Close at exit what the loop's generators hold, such as connections to providers."""
        if self._loop is not None and pid == os.getpid():
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(
                    self._loop.shutdown_asyncgens(), self._loop
                ).result(CLOSE_TIMEOUT_SECONDS)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


background_loop: Final = BackgroundLoop()

reset_after_fork(background_loop.after_fork)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and wait for its result. For synchronous callers."""
    return asyncio.run_coroutine_threadsafe(coroutine, background_loop.get()).result()


async def relay(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and await its result on another loop.

    For async views under WSGI.
    """
    return await asyncio.wrap_future(
        asyncio.run_coroutine_threadsafe(coroutine, background_loop.get())
    )
