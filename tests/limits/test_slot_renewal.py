"""The thread that keeps the slots of running calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pytest

from native_api.limits import counters
from native_api.limits.counters.slot_renewal import THREAD_NAME, SlotRenewal, slot_renewal
from tests.servers import until


class Board:
    """A store that only knows who holds what. `renewals` can be held up, or fail."""

    is_shared = True

    def __init__(self) -> None:
        self.held: set[tuple[str, str]] = set()
        self.renewals = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        self.renewals += 1
        self.go_on.wait(10)
        if self.error:
            raise self.error
        self.held.update(slots)

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        self.held -= {(key, call_id) for key in slot_keys}


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setattr("native_api.limits.counters.slot_renewal.RENEWAL_INTERVAL_SECONDS", 0.02)
    until(lambda: not renewing(), "the threads of tests before")
    store = Board()
    monkeypatch.setattr(counters, "store", lambda: store)
    yield store
    store.go_on.set()
    until(lambda: not renewing(), "the thread to end")


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_one_thread_runs_while_any_slot_is_held(board: Board) -> None:
    kept = SlotRenewal()
    assert not renewing()
    kept.hold("first", ["a"])
    kept.hold("second", ["a", "b"])
    assert len(renewing()) == 1
    until(lambda: board.held == {("a", "first"), ("a", "second"), ("b", "second")}, "a renewal")
    kept.release("first", ["a"])
    seen = board.renewals
    until(lambda: board.renewals > seen + 1, "more renewals")
    assert board.held == {("a", "second"), ("b", "second")}
    kept.release("second", ["a", "b"])
    until(lambda: not renewing(), "the thread to end")
    kept.hold("third", ["c"])
    until(lambda: board.held == {("c", "third")}, "a thread to have begun again")
    kept.release("third", ["c"])


def test_a_slot_released_during_renewal_is_not_held_again(board: Board) -> None:
    kept = SlotRenewal()
    board.go_on.clear()
    kept.hold("m", ["a"])
    until(lambda: board.renewals, "a renewal to begin")
    kept.release("m", ["a"])
    board.go_on.set()
    until(lambda: not renewing(), "the thread to end")
    assert board.held == set()


def test_a_hanging_cache_blocks_no_call(board: Board) -> None:
    kept = SlotRenewal()
    board.go_on.clear()
    kept.hold("m", ["a"])
    until(lambda: board.renewals, "a renewal to begin")
    others = threading.Thread(
        target=lambda: (kept.hold("n", ["a"]), kept.release("n", ["a"]), kept.release("m", ["a"]))
    )
    others.start()
    others.join(5)
    assert not others.is_alive()


def test_renewal_is_retried_after_a_failure(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    kept = SlotRenewal()
    board.error = ConnectionError("gone")
    kept.hold("m", ["a"])
    until(lambda: board.renewals > 1, "more renewals")
    assert (
        caplog.records[0].getMessage()
        == "Slots of running requests cannot be renewed (ConnectionError)."
    )
    board.error = None
    until(lambda: board.held, "the slot to be renewed")
    kept.release("m", ["a"])


def test_slots_that_cannot_be_released_are_not_renewed(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SlotRenewal()
    kept.hold("m", ["a"])

    def fail(call_id: str, slot_keys: Sequence[str]) -> None:
        raise ConnectionError

    monkeypatch.setattr(board, "release", fail)
    with pytest.raises(ConnectionError):
        kept.release("m", ["a"])
    until(lambda: not renewing(), "the thread to end")


def test_a_forked_process_renews_only_its_own_slots(board: Board) -> None:
    slot_renewal.hold("of the parent", ["a"])
    child = os.fork()
    if not child:  # no test runner from here on
        board.held.clear()
        slot_renewal.hold("of the child", ["a"])
        try:
            until(lambda: board.held, "a renewal in the child")
        finally:
            os._exit(0 if board.held == {("a", "of the child")} else 1)
    _, status = os.waitpid(child, 0)
    slot_renewal.release("of the parent", ["a"])
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_forked_process_starts_with_empty_counters() -> None:
    counters.memory_store.acquire("m", [], [counters.Slot("of-the-parent", 1)])
    child = os.fork()
    if not child:
        os._exit(sum(counters.memory_store.levels([], [counters.Slot("of-the-parent", 1)]).slots))
    _, status = os.waitpid(child, 0)
    counters.memory_store.release("m", ["of-the-parent"])
    assert os.waitstatus_to_exitcode(status) == 0
