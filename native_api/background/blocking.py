"""Runs blocking calls (a name look-up, a cloud vendor's token library) away from the event loop.

Each call gets its own daemon thread: such calls are rare and may hang, and neither the loop's
default executor, which looks up the providers' names, nor the end of the process may wait for them.
Calls to the database and the cache use `executors`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_in_thread(call: Callable[[], T]) -> Future[T]:
    """Start the call. Any event loop can wait for its result with `wait_for`."""
    result: Future[T] = Future()
    threading.Thread(
        target=_run, args=(call, result), name="native-api-blocking", daemon=True
    ).start()
    return result


def _run(call: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(call())
    except BaseException as error:
        result.set_exception(error)


async def wait_for(result: Future[T], seconds: float) -> T:
    """The call's result. Raises TimeoutError after `seconds`.

    The call itself goes on after a timeout, and also if the waiter is cancelled.
    """
    waiter = asyncio.wrap_future(result)
    done, _ = await asyncio.wait([waiter], timeout=seconds)
    if not done:
        waiter.add_done_callback(_retrieve_exception)
        raise TimeoutError
    return waiter.result()


def _retrieve_exception(waiter: asyncio.Future[T]) -> None:
    """Keep asyncio from logging "exception was never retrieved" for a result nobody waits for."""
    if not waiter.cancelled():
        waiter.exception()
