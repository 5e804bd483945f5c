"""What the site is told: once for each record that is in the database, whatever receivers do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from native_api.models import ApiKey, UsageRecord
from native_api.signals import key_used_first_time, usage_recorded
from native_api.usage import writer
from native_api.usage.entry import UsageEntry
from native_api.usage.last_used import KeyUseTimes

pytestmark = pytest.mark.usefixtures("transactional_db")


@contextmanager
def receiving(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.fixture
def told() -> Iterator[list[UsageEntry]]:
    given: list[UsageEntry] = []

    def receive(sender: Any, entry: UsageEntry, **more: Any) -> None:
        assert sender is UsageRecord
        assert not connection.in_atomic_block
        assert UsageRecord.objects.filter(pk=entry.id).exists()
        given.append(entry)

    with receiving(usage_recorded, receive):
        yield given


def write(*entries: UsageEntry, may_be_written: bool = False) -> None:
    writer.write(entries, "default", may_be_written=may_be_written)


class TestUsageRecorded:
    def test_each_record_is_told_when_it_is_in_the_database(self, told: list[UsageEntry]) -> None:
        entries = [UsageEntry(model="m", user_name="alice") for _ in range(3)]
        write(*entries)
        assert told == entries

    def test_a_record_is_told_once_however_often_its_batch_is_tried(
        self, told: list[UsageEntry]
    ) -> None:
        def fails(entries: Sequence[UsageEntry], alias: str) -> None:
            raise ValueError

        entry = UsageEntry()
        writer.insert_hooks.append(fails)
        try:
            with pytest.raises(writer.HookFailed):
                write(entry)
        finally:
            writer.insert_hooks.remove(fails)
        assert told == []
        write(entry, may_be_written=True)
        write(entry, may_be_written=True)
        write(entry)
        assert told == [entry]

    def test_refused_records_are_not_told(self, told: list[UsageEntry]) -> None:
        good = UsageEntry()
        write(UsageEntry(latency_ms=-1), good)
        assert told == [good]

    def test_a_receiver_that_raises_is_logged_and_stops_nothing(
        self, told: list[UsageEntry], caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(**more: Any) -> None:
            raise RuntimeError("the site's own fault")

        entries = [UsageEntry(), UsageEntry()]
        with receiving(usage_recorded, fails), caplog.at_level(logging.ERROR):
            write(*entries)
        assert told == entries
        assert UsageRecord.objects.count() == 2
        assert "the site's own fault" in caplog.text


class TestKeyUsedFirstTime:
    @pytest.fixture
    def key(self) -> ApiKey:
        owner = get_user_model().objects.create(username="alice")
        return ApiKey.objects.create(owner=owner, name="k", prefix="nk_alice", digest="0" * 64)

    def test_it_is_told_by_one_process_alone(self, key: ApiKey) -> None:
        given: list[tuple[Any, int, Any]] = []

        def receive(sender: Any, key_id: int, at: Any, **more: Any) -> None:
            given.append((sender, key_id, at))

        with receiving(key_used_first_time, receive):
            for key_uses in (KeyUseTimes(), KeyUseTimes()):
                key_uses.note_use(key.pk)
                key_uses.write("default")
        assert given == [(ApiKey, key.pk, ApiKey.objects.get().last_used_at)]

    def test_a_receiver_that_raises_does_not_repeat_it(self, key: ApiKey) -> None:
        calls: list[int] = []

        def fails(key_id: int, **more: Any) -> None:
            calls.append(key_id)
            raise RuntimeError

        key_uses = KeyUseTimes()
        with receiving(key_used_first_time, fails):
            key_uses.note_use(key.pk)
            key_uses.write("default")
            key_uses.write("default")
        assert calls == [key.pk]

    def test_a_later_use_is_none(self, key: ApiKey) -> None:
        ApiKey.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
        calls: list[Any] = []

        def receive(**more: Any) -> None:
            calls.append(more)

        key_uses = KeyUseTimes()
        with receiving(key_used_first_time, receive):
            key_uses.note_use(key.pk)
            key_uses.write("default")
        assert calls == []
        assert (timezone.now() - ApiKey.objects.get().last_used_at).total_seconds() < 60  # type: ignore[operator]

    def test_without_receivers_it_costs_no_query(self, key: ApiKey) -> None:
        key_uses = KeyUseTimes()
        key_uses.note_use(key.pk)
        with CaptureQueriesContext(connection) as captured:
            key_uses.write("default")
        assert len(captured) == 1
