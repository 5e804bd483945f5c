"""The threads for synchronous calls that may hang: three executors, one for each resource.

Rules:
1. `database` is for functions that are safe to repeat: a call is made again if it found a
   connection that the server had dropped (`database_calls`). `foreign` is for code that is not the
   gateway's own: a site's hooks and policies, token libraries, name look-ups; and for parsing.
2. Each use of an executor is a lane, which bounds its calls at once. So one use does not starve
   another.
3. A resource that does not answer is known to all its users at once (`outages`). Who waits then is
   released, and who comes is refused, with ResourceUnavailable.
4. Silence is an outage if a call waits for longer than the resource's patience and no other call
   returns meanwhile. Busy is not down: as long as others return, a call waits as long as its caller
   wants. What may take long by itself, such as a report, uses a lane that is not evidence.
5. A call that nobody waits for any more goes on, and its result is dropped. One that was not made
   yet is not made.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from native_api import logs
from native_api.background import database_calls, site_cache, test_environment
from native_api.background.outages import CallTimeout, Outage, ResourceUnavailable
from native_api.background.threads import Call, ThreadPool
from native_api.background.waiting import Answers, Waiting, wait_briefly
from native_api.forks import reset_after_fork

P = ParamSpec("P")
T = TypeVar("T")

CACHE_PATIENCE_SECONDS: Final = 1.0
DATABASE_PATIENCE_SECONDS: Final = 2.0

EXIT_SECONDS: Final = 1.0
"""How long the end of the process waits for calls, such as the release of slots."""


class Executor:
    """The threads of one resource: `size` calls run at once. With `outage`, silence of `patience`
    seconds is one, and so are errors for which `is_outage` is true."""

    def __init__(
        self,
        name: str,
        size: int,
        max_given_up: int,
        outage: Outage | None = None,
        patience: float = float("inf"),
        is_outage: Callable[[BaseException], bool] = lambda error: False,
        keeps_connections: bool = False,
        is_foreign: bool = False,
    ) -> None:
        self.outage, self.patience = outage, patience
        self._name, self._size, self._max_given_up = name, size, max_given_up
        self._is_outage, self._keeps_connections = is_outage, keeps_connections
        self._is_foreign = is_foreign
        self._start()
        reset_after_fork(self._start)

    def reset(self) -> None:
        """Start with new threads, and forget an outage. Calls that were submitted are made."""
        self._pool.close()
        self._start()
        self.forget_outage()

    def forget_outage(self) -> None:
        """Ask the resource again: it may be another one now."""
        if self.outage is not None:
            self.outage.reset()

    def _start(self) -> None:
        self._pool = ThreadPool(
            f"native-api-{self._name}",
            self._size,
            self._max_given_up,
            self._run,
            database_calls.close_connections,
        )
        self.answers = Answers()
        self._returned_at = float("-inf")

    def lane(self, size: int | None = None, is_evidence: bool = True) -> Lane:
        """For one kind of calls, of which `size` run at once. `is_evidence` is false if a call may
        take long by itself: its silence says nothing about the resource."""
        return Lane(self, self._size if size is None else size, is_evidence)

    @property
    def is_down(self) -> bool:
        """Whether calls are refused."""
        return self.outage is not None and self.outage.is_active

    def refusal(self) -> ResourceUnavailable | None:
        """What calls are refused with, if they are."""
        if self.outage is None or not self.outage.is_active:
            return None
        return self.outage.refusal()

    def submit(self, lane: Lane, function: Callable[..., T], *args: Any) -> Call[T]:
        if test_environment.is_active() and not self._is_foreign:
            return self._make_at_once(lane, function, *args)
        request = self._keeps_connections, logs.request_id.get()
        call = Call(lane, partial(_run_as_request, *request, function, *args))
        if refusal := self.refusal():
            call.set_exception(refusal)
        else:
            self._pool.submit(call)
        return call

    def _make_at_once(self, lane: Lane, function: Callable[..., T], *args: Any) -> Call[T]:
        call = Call(lane, partial(_call_in_turn, logs.request_id.get(), function, *args))
        test_environment.make_at_once(call, call.function)
        return call

    def give_up(self, call: Call[Any]) -> None:
        self._pool.give_up(call)

    def finish(self, seconds: float) -> None:
        """Wait until the calls that were submitted have returned, and the threads have closed what
        they have open."""
        ends_at = time.monotonic() + seconds
        wait(self._pool.pending_calls(), seconds)
        self._pool.close()
        self._pool.join(ends_at - time.monotonic())

    def run_here(self, lane: Lane, function: Callable[..., T], *args: Any) -> T:
        if refusal := self.refusal():
            raise refusal
        call = Call(lane, partial(database_calls.call_in_own_thread, function, *args))
        return self._run(call)

    def _run(self, call: Call[T]) -> T:
        try:
            result = call.function()
        except Exception as error:
            if self.outage is not None and self._is_outage(error):
                if not call.is_given_up:  # else the error is that of an outage which may be over
                    self._begin_outage(self.outage, error)
            else:
                self._returned_at = time.monotonic()
            raise
        self._returned_at = time.monotonic()
        if self.outage is not None and self.outage.is_active:
            self.outage.end()
        return result

    def silent_at(self, since: float) -> float:
        """When a call that waits since then is evidence of an outage, if no other returns."""
        return max(since, self._returned_at) + self.patience

    def note_silence(self, since: float) -> None:
        outage = self.outage
        if outage is not None and time.monotonic() >= self.silent_at(since):
            self._begin_outage(outage, CallTimeout(f"no answer in {self.patience:g} s"))

    def _begin_outage(self, outage: Outage, evidence: Exception) -> None:
        outage.begin(evidence)
        self._release(outage)

    def _release(self, outage: Outage) -> None:
        # The outage may be over already: who came after it is not concerned.
        self.answers.refuse(outage.began_at, outage.refusal)
        pending = self._pool.pending_calls()
        concerned = [call for call in pending if call.submitted_at <= outage.began_at]
        running = [call for call in concerned if not call.cancel()]
        for call in running:
            self._pool.give_up(call)


class Lane:
    """Calls of one kind. What they raise is raised to those that wait."""

    def __init__(self, executor: Executor, size: int, is_evidence: bool) -> None:
        self.size, self._executor, self._is_evidence = size, executor, is_evidence

    @property
    def is_down(self) -> bool:
        """Whether a call would be refused."""
        return self._executor.is_down

    def submit(self, function: Callable[..., T], *args: Any) -> Call[T]:
        """The result to come. It is ResourceUnavailable if the resource is down."""
        return self._executor.submit(self, function, *args)

    async def run(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """The call's result. Raises CallTimeout after `seconds`, ResourceUnavailable if the
        resource is down."""
        call = self.submit(function, *args)
        try:
            return await self.wait_for(seconds, call)
        finally:
            call.cancel()  # has no effect once it runs

    def run_sync(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """`run` for synchronous callers."""
        call = self.submit(function, *args)
        try:
            return self.wait_for_sync(seconds, call)
        finally:
            call.cancel()

    def run_here(self, function: Callable[..., T], *args: Any) -> T:
        """Make the call in this thread, with its own connections: for synchronous callers, who may
        be in a transaction. Raises ResourceUnavailable if the resource is down."""
        return self._executor.run_here(self, function, *args)

    async def wait_for(self, seconds: float, call: Future[T]) -> T:
        """`run` for a call that was submitted. Any number of callers may wait for it."""
        result: T = await self._waiting(seconds, call).wait_async()
        return result

    def wait_for_sync(self, seconds: float, call: Future[T]) -> T:
        """`wait_for` for synchronous callers."""
        result: T = self._waiting(seconds, call).wait()
        return result

    def _waiting(self, seconds: float, call: Future[Any]) -> Waiting:
        return Waiting(self._executor, call, seconds, self._is_evidence)

    def note_silence(self, call: Call[Any]) -> None:
        """For a call that nobody waits for: if it hangs, the resource is down."""
        if not call.done():
            self._executor.note_silence(call.submitted_at)

    async def wait_briefly(self, seconds: float, call: Future[Any]) -> None:
        """Give a submitted call some time to return. Raises nothing of it, and it may go on."""
        await wait_briefly(seconds, self._executor.answers.answer_to(call))


def _run_as_request(
    keeps_connections: bool, request_id: str, function: Callable[..., T], *args: Any
) -> T:
    """Every call of every executor.

    Only the request's id is taken from the caller's context: Django's caches keep one connection
    per context.
    """
    logs.request_id.set(request_id)
    if keeps_connections:
        return database_calls.call_with_kept_connections(function, *args)
    return database_calls.call_as_request(function, *args)


def _call_in_turn(request_id: str, function: Callable[..., T], *args: Any) -> T:
    logs.request_id.set(request_id)
    return test_environment.call_in_turn(function, *args)


# --- the three -----------------------------------------------------------------------------------

database: Final = Executor(
    "database",
    size=4,
    max_given_up=4,
    outage=Outage(
        "database",
        "Until it does, calls that a budget binds are refused and no responses are kept; API keys, "
        "models and limits stay as they were read last.",
        database_calls.probe,
    ),
    patience=DATABASE_PATIENCE_SECONDS,
    is_outage=database_calls.is_connection_error,
    keeps_connections=True,
)
"""Its threads keep their connections while they are busy, whatever CONN_MAX_AGE is, and close them
soon after. Functions must be safe to repeat."""

cache: Final = Executor(
    "cache",
    size=8,
    max_given_up=8,
    outage=Outage(
        "cache",
        "Until it does, rates and limits of short windows are not enforced, and processes do not "
        "share the health of targets.",
        site_cache.probe,
    ),
    patience=CACHE_PATIENCE_SECONDS,
    is_outage=lambda error: True,  # each cache backend has its own exceptions
)
"""Each thread has a client of its own, as Django's caches want it."""

foreign: Final = Executor("foreign", size=64, max_given_up=64, is_foreign=True)
"""For code that is not the gateway's own, and may hang. Its lanes add up to fewer threads, so none
waits for another."""

_requests: Final[Any] = foreign.lane(16)


def foreign_to_async(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`sync_to_async` in a thread of `foreign`, for what a request needs of Django and the site.

    The function sees the caller's context variables, and async code that it calls runs on the
    caller's event loop.
    """
    # asgiref gives the executor to `loop.run_in_executor`, which only calls its `submit`.
    return sync_to_async(function, thread_sensitive=False, executor=_requests)


def writing_lane(alias: str) -> Lane:
    """A lane for transactions in this database.

    One thread for SQLite, which has a single writer: others would only wait for its lock, and
    waiting for that is no evidence of an outage. At most two of four, so that API keys are still
    looked up while rows are locked.
    """
    is_sqlite = connections[alias].vendor == "sqlite"
    return database.lane(1 if is_sqlite else 2, is_evidence=not is_sqlite)


slow_queries: Final = database.lane(1, is_evidence=False)
"""Queries that may take long by themselves, such as reports. They take one thread in all."""

atexit.register(cache.finish, EXIT_SECONDS)
atexit.register(database.finish, EXIT_SECONDS)
