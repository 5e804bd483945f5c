"""Waiting for a call in a thread, from any thread or event loop, until it returns, the time ends or
the resource is known to be down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from native_api.background.outages import CallTimeout, ResourceUnavailable

T = TypeVar("T")

MAX_DELAY_SECONDS: Final = 0.05
"""By which a wait may wake up late. If it is more, this process has too much to do, and that its
threads are silent says nothing about the resource."""


class Answers:
    """What is awaited now: one answer for each that waits, though several may wait for one call."""

    def __init__(self) -> None:
        self._pending: dict[Future[Any], float] = {}
        """The answers, and since when they are awaited."""

    def answer_to(self, call: Future[T]) -> Future[T]:
        """The outcome of the call, or that of `refuse` if it comes first."""
        answer: Future[T] = Future()
        self._pending[answer] = time.monotonic()
        answer.add_done_callback(self._pending.pop)
        call.add_done_callback(partial(_copy_outcome, answer))
        return answer

    def refuse(self, until: float, make_error: Callable[[], Exception]) -> None:
        """Let nobody wait any longer who waited at that time."""
        for answer, since in self._pending.copy().items():
            if since <= until:
                _end(answer.set_exception, make_error())


def _copy_outcome(answer: Future[Any], call: Future[Any]) -> None:
    if call.cancelled():
        _end(answer.set_exception, ResourceUnavailable("The call was not made."))
    elif (error := call.exception()) is not None:
        _end(answer.set_exception, error)
    else:
        _end(answer.set_result, call.result())


def _end(set_outcome: Callable[[Any], None], outcome: Any) -> None:
    """Do nothing if the answer is there already, or nobody waits for it any more."""
    with suppress(InvalidStateError):
        set_outcome(outcome)


class Resource(Protocol):
    """What is known of the resource that the call uses."""

    answers: Answers

    def refusal(self) -> ResourceUnavailable | None: ...
    def silent_at(self, since: float) -> float: ...
    def note_silence(self, since: float) -> None: ...
    def give_up(self, call: Any) -> None: ...


class Waiting:
    """One wait for a call. `is_evidence`: if it waits for long, the resource may be down."""

    def __init__(
        self, resource: Resource, call: Future[Any], seconds: float, is_evidence: bool
    ) -> None:
        self._resource, self._call, self._is_evidence = resource, call, is_evidence
        self._silent_since = self._wakes_at = now = time.monotonic()
        self._seconds, self._ends_at = seconds, now + seconds
        self._answer = resource.answers.answer_to(call)
        # Who waits before an outage is released when it begins; nobody releases who comes later.
        if not self._answer.done() and (refusal := resource.refusal()):
            _end(self._answer.set_exception, refusal)

    def wait(self) -> Any:
        while self._goes_on():
            wait([self._answer], self._pause())
        return self._result()

    async def wait_async(self) -> Any:
        waiter = asyncio.wrap_future(self._answer)
        try:
            while self._goes_on():
                await asyncio.wait([waiter], timeout=self._pause())
            return self._result()
        finally:
            _forget(waiter)

    def _goes_on(self) -> bool:
        now = time.monotonic()
        if now - self._wakes_at > MAX_DELAY_SECONDS:
            self._silent_since = now
        if self._is_evidence and not self._answer.done():
            self._resource.note_silence(self._silent_since)
        return not self._answer.done() and now < self._ends_at

    def _pause(self) -> float:
        """Seconds until the time ends, or until the silence is long enough to be an outage."""
        end = self._ends_at
        if self._is_evidence:
            end = min(end, self._resource.silent_at(self._silent_since))
        now = time.monotonic()
        self._wakes_at = max(now, end)
        return self._wakes_at - now

    def _result(self) -> Any:
        if self._answer.done():
            return self._answer.result()
        if self._call.done():
            return self._call.result()
        self._resource.give_up(self._call)
        raise CallTimeout(f"no answer in {self._seconds:g} s")


async def wait_briefly(seconds: float, answer: Future[Any]) -> None:
    """Give a call some time to return. Raises nothing of it, and it may go on."""
    waiter = asyncio.wrap_future(answer)
    try:
        await asyncio.wait([waiter], timeout=seconds)
    finally:
        _forget(waiter)


def _forget(waiter: asyncio.Future[Any]) -> None:
    """Consume what nobody waits for any more: asyncio would log an exception that nobody saw."""
    if not waiter.cancel() and not waiter.cancelled():
        waiter.exception()
