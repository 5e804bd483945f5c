"""Blocking calls that the engine cannot avoid (a name look-up, a cloud vendor's token library),
away from the event loop.

`bridge` is where synchronous callers meet the loop; this is the way round, and the engine may not
know `bridge`. Each call has a daemon thread of its own: it is rare, it may hang, and neither the
loop's own threads, which look up the providers' names, nor the end of the process may wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Begin the call. Its result can be waited for on any loop."""
    result: Future[T] = Future()
    threading.Thread(target=_run, args=(call, result), name="native-api-apart", daemon=True).start()
    return result


def _run(call: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(call())
    except BaseException as error:
        result.set_exception(error)


async def wait(result: Future[T], seconds: float) -> T:
    """The call's result. Raises TimeoutError, and then, as when the waiter is cancelled, leaves the
    call to its end."""
    waiter = asyncio.wrap_future(result)
    done, _ = await asyncio.wait([waiter], timeout=seconds)
    if not done:
        waiter.add_done_callback(_look_at)
        raise TimeoutError
    return waiter.result()


def _look_at(waiter: asyncio.Future[T]) -> None:
    """Nobody wants the outcome any more: not even a complaint that an exception was never looked
    at."""
    if not waiter.cancelled():
        waiter.exception()
