"""Executors that end with the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from native_api.background.executors import Executor
from tests.servers import until

MakeExecutor = Callable[..., Executor]


@pytest.fixture
def make_executor() -> Iterator[MakeExecutor]:
    made: list[Executor] = []

    def make(size: int = 1, max_given_up: int = 4, **options: Any) -> Executor:
        made.append(Executor("test", size, max_given_up, **options))
        return made[-1]

    yield make
    for each in made:
        each.reset()
    until(lambda: not workers(), "the threads to end")


def workers() -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("native-api-test_")
    ]


class Gate:
    """Holds calls back until it is opened."""

    def __init__(self) -> None:
        self._open, self.entered = threading.Event(), threading.Semaphore(0)

    def __call__(self, result: Any = None) -> Any:
        self.entered.release()
        assert self._open.wait(30)
        return result

    def wait_for_calls(self, count: int) -> None:
        for _ in range(count):
            assert self.entered.acquire(timeout=30)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()
