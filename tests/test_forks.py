"""What a forked process resets."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest

from native_api import forks


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty in this test."""
    monkeypatch.setattr(forks, "_resets", [])


def in_child(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if not child:  # no test runner from here on
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Counter:
    def __init__(self, calls: list[str], name: str) -> None:
        self.calls, self.name = calls, name
        forks.reset_after_fork(self.reset)

    def reset(self) -> None:
        self.calls.append(self.name)


def test_everything_is_reset_in_the_order_in_which_it_was_registered() -> None:
    calls: list[str] = []
    first = Counter(calls, "first")
    forks.reset_after_fork(lambda: calls.append("second"))
    third = Counter(calls, "third")
    assert in_child(lambda: calls == ["first", "second", "third"])
    assert calls == [], "not in the parent"
    assert (first.name, third.name) == ("first", "third")


def test_a_builtin_method_can_be_registered() -> None:
    names = {"parent"}
    forks.reset_after_fork(names.clear)
    assert in_child(lambda: names == set())


def test_an_object_that_is_gone_is_not_reset_and_not_kept_alive() -> None:
    calls: list[str] = []
    Counter(calls, "gone")
    gc.collect()
    kept = Counter(calls, "kept")
    assert in_child(lambda: calls == ["kept"])
    assert [reference() for reference in forks._resets] == [kept.reset]
