"""What a fork waits for, and what a forked process resets."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from native_api import forks
from native_api.gateway import hook_chain
from native_api.inbound import body_limits
from native_api.upstream.auth import aws

REGISTERED: Final = list(forks._resets)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty in this test."""
    monkeypatch.setattr(forks, "_resets", [])
    monkeypatch.setattr(forks, "_awaited", [])


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


class Worker:
    def __init__(self, seconds: float) -> None:
        self.lock = threading.Lock()
        forks.hold_during_forks(self.lock_of_work, seconds)
        forks.reset_after_fork(self.reset)

    def lock_of_work(self) -> threading.Lock:
        return self.lock

    def reset(self) -> None:
        self.lock = threading.Lock()


def test_a_fork_waits_for_work_and_holds_it_up() -> None:
    imported, importing = Worker(60), Worker(60)
    forks.before_fork()
    assert forks._held.locks == [importing.lock, imported.lock]
    forks.after_fork_in_parent()
    assert not forks._held.locks
    assert not imported.lock.locked()


def test_a_fork_does_not_wait_for_ever() -> None:
    worker = Worker(0)
    with worker.lock:
        assert in_child(lambda: worker.lock.acquire(blocking=False))
        assert worker.lock.locked(), "it is not the fork's to release"
    assert in_child(lambda: worker.lock.acquire(blocking=False))
    assert not worker.lock.locked()


def test_a_fork_releases_nothing_that_the_fork_of_another_thread_holds() -> None:
    worker = Worker(0)

    def fork() -> None:
        forks.before_fork()
        forks.after_fork_in_parent()

    forks.before_fork()
    other = threading.Thread(target=fork)
    other.start()
    other.join()
    assert worker.lock.locked()
    forks.after_fork_in_parent()
    assert not worker.lock.locked()


def test_a_fork_does_not_wait_for_what_is_gone() -> None:
    worker = Worker(-1)
    lock = worker.lock
    del worker
    gc.collect()
    with lock:
        forks.before_fork()
    assert not forks._held.locks


@pytest.mark.parametrize(
    ("module", "name"), [(body_limits, "_lock"), (hook_chain, "_lock"), (aws, "_search_lock")]
)
def test_a_lock_of_a_module_that_is_held_is_free_in_the_child(module: Any, name: str) -> None:
    forks.reset_after_fork(module._after_fork)
    assert module._after_fork in [reference() for reference in REGISTERED]
    with getattr(module, name):
        assert in_child(lambda: getattr(module, name).acquire(blocking=False))


def test_bodies_of_the_parent_do_not_count_in_the_child() -> None:
    forks.reset_after_fork(body_limits._after_fork)
    with body_limits.BodyMemory() as memory:
        memory.add(1000)
        assert in_child(lambda: body_limits.bytes_in_memory() == 0)
        assert body_limits.bytes_in_memory() == 1000


def test_objects_made_in_several_threads_are_all_registered() -> None:
    """Each registration removes what is gone, while another one looks through the same list."""
    calls: list[str] = []
    made: list[Counter] = []
    other = threading.Thread(target=lambda: made.append(Counter(calls, "other")))

    def look() -> Callable[[], None]:
        if not other.ident:
            other.start()
            other.join(0.05)
        return calls.clear

    gone, kept = Counter(calls, "gone"), Counter(calls, "kept")
    forks._resets.insert(1, look)
    del gone
    gc.collect()
    made.append(Counter(calls, "made"))
    other.join()
    found = [reference() for reference in forks._resets]
    assert all(each.reset in found for each in (kept, *made))
