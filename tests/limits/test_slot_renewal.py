"""The thread that renews the slots of running calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pytest

from native_api.limits import counters
from native_api.limits.counters.slot_renewal import THREAD_NAME, SlotRenewal, slot_renewal
from tests.servers import until


class FakeStore:
    """A store that only records who holds what. `renew` can be blocked, or fail."""

    is_shared = True

    def __init__(self) -> None:
        self.held: set[tuple[str, str]] = set()
        self.renewals = 0
        self.may_continue = threading.Event()
        self.may_continue.set()
        self.error: Exception | None = None

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        self.renewals += 1
        self.may_continue.wait(60)
        if self.error:
            raise self.error
        self.held.update(slots)

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        self.held -= {(key, call_id) for key in slot_keys}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStore]:
    monkeypatch.setattr("native_api.limits.counters.slot_renewal.RENEWAL_INTERVAL_SECONDS", 0.02)
    until(lambda: not renewal_threads(), "the threads of tests before")
    store = FakeStore()
    monkeypatch.setattr(counters, "store", lambda: store)
    yield store
    store.may_continue.set()
    until(lambda: not renewal_threads(), "the thread to end")


def renewal_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def release(renewal: SlotRenewal, store: FakeStore, call_id: str, slot_keys: Sequence[str]) -> None:
    """As `counters.client.give_back` does."""
    renewal.forget(call_id)
    store.release(call_id, slot_keys)


def test_one_thread_runs_while_any_slot_is_held(store: FakeStore) -> None:
    renewal = SlotRenewal()
    assert not renewal_threads()
    renewal.hold("first", ["a"])
    renewal.hold("second", ["a", "b"])
    assert len(renewal_threads()) == 1
    until(lambda: store.held == {("a", "first"), ("a", "second"), ("b", "second")}, "a renewal")
    release(renewal, store, "first", ["a"])
    seen = store.renewals
    until(lambda: store.renewals > seen + 1, "more renewals")
    assert store.held == {("a", "second"), ("b", "second")}
    release(renewal, store, "second", ["a", "b"])
    until(lambda: not renewal_threads(), "the thread to end")
    renewal.hold("third", ["c"])
    until(lambda: store.held == {("c", "third")}, "a thread to have begun again")
    release(renewal, store, "third", ["c"])


def test_a_slot_released_during_renewal_is_not_held_again(store: FakeStore) -> None:
    renewal = SlotRenewal()
    store.may_continue.clear()
    renewal.hold("m", ["a"])
    until(lambda: store.renewals, "a renewal to begin")
    release(renewal, store, "m", ["a"])
    store.may_continue.set()
    until(lambda: not renewal_threads(), "the thread to end")
    assert store.held == set()


def test_a_hanging_cache_blocks_no_call(store: FakeStore) -> None:
    renewal = SlotRenewal()
    store.may_continue.clear()
    renewal.hold("m", ["a"])
    until(lambda: store.renewals, "a renewal to begin")
    others = threading.Thread(
        target=lambda: (
            renewal.hold("n", ["a"]),
            renewal.forget("n"),
            renewal.forget("m"),
        )
    )
    others.start()
    others.join(60)
    assert not others.is_alive()


def test_renewal_is_retried_after_a_failure(
    store: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    renewal = SlotRenewal()
    store.error = ConnectionError("gone")
    renewal.hold("m", ["a"])
    until(lambda: store.renewals > 1, "more renewals")
    assert caplog.text.count("The cache does not answer (ConnectionError: gone)") == 1
    store.error = None
    until(lambda: store.held, "the slot to be renewed")
    renewal.forget("m")


def test_a_forked_process_renews_only_its_own_slots(store: FakeStore) -> None:
    slot_renewal.hold("of the parent", ["a"])
    child = os.fork()
    if not child:  # there is no test runner in the child
        store.held.clear()
        slot_renewal.hold("of the child", ["a"])
        try:
            until(lambda: store.held, "a renewal in the child")
        finally:
            os._exit(0 if store.held == {("a", "of the child")} else 1)
    _, status = os.waitpid(child, 0)
    slot_renewal.forget("of the parent")
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_forked_process_starts_with_empty_counters() -> None:
    counters.memory_store.acquire("m", [], [counters.Slot("of-the-parent", 1)])
    child = os.fork()
    if not child:
        os._exit(sum(counters.memory_store.levels([], [counters.Slot("of-the-parent", 1)]).slots))
    _, status = os.waitpid(child, 0)
    counters.memory_store.release("m", ["of-the-parent"])
    assert os.waitstatus_to_exitcode(status) == 0
