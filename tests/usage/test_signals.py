"""Signals are sent once for each record in the database, even if receivers fail."""

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
def received() -> Iterator[list[UsageEntry]]:
    entries: list[UsageEntry] = []

    def receive(sender: Any, entry: UsageEntry, **kwargs: Any) -> None:
        assert sender is UsageRecord
        assert not connection.in_atomic_block
        assert UsageRecord.objects.filter(pk=entry.id).exists()
        entries.append(entry)

    with receiving(usage_recorded, receive):
        yield entries


def write(*entries: UsageEntry, may_be_written: bool = False) -> None:
    writer.write(entries, "default", may_be_written=may_be_written)


class TestUsageRecorded:
    def test_it_is_sent_when_the_record_is_in_the_database(
        self, received: list[UsageEntry]
    ) -> None:
        entries = [UsageEntry(model="m", user_name="alice") for _ in range(3)]
        write(*entries)
        assert received == entries

    def test_it_is_sent_once_even_if_the_batch_is_retried(self, received: list[UsageEntry]) -> None:
        def fails(entries: Sequence[UsageEntry], alias: str) -> None:
            raise ValueError

        entry = UsageEntry()
        writer.insert_hooks.append(fails)
        try:
            with pytest.raises(writer.HookFailed):
                write(entry)
        finally:
            writer.insert_hooks.remove(fails)
        assert received == []
        write(entry, may_be_written=True)
        write(entry, may_be_written=True)
        write(entry)
        assert received == [entry]

    def test_it_is_not_sent_for_rejected_records(self, received: list[UsageEntry]) -> None:
        good = UsageEntry()
        write(UsageEntry(latency_ms=-1), good)
        assert received == [good]

    def test_errors_of_receivers_are_logged_and_have_no_effect(
        self, received: list[UsageEntry], caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(**kwargs: Any) -> None:
            raise RuntimeError("the site's own fault")

        entries = [UsageEntry(), UsageEntry()]
        with receiving(usage_recorded, fails), caplog.at_level(logging.ERROR):
            write(*entries)
        assert received == entries
        assert UsageRecord.objects.count() == 2
        assert "the site's own fault" in caplog.text


class TestKeyUsedFirstTime:
    @pytest.fixture
    def key(self) -> ApiKey:
        owner = get_user_model().objects.create(username="alice")
        return ApiKey.objects.create(owner=owner, name="k", prefix="nk_alice", digest="0" * 64)

    def test_only_one_process_sends_it(self, key: ApiKey) -> None:
        calls: list[tuple[Any, int, Any]] = []

        def receive(sender: Any, key_id: int, at: Any, **kwargs: Any) -> None:
            calls.append((sender, key_id, at))

        with receiving(key_used_first_time, receive):
            for key_uses in (KeyUseTimes(), KeyUseTimes()):
                key_uses.note_use(key.pk)
                key_uses.write("default")
        assert calls == [(ApiKey, key.pk, ApiKey.objects.get().last_used_at)]

    def test_it_is_not_sent_again_if_a_receiver_fails(self, key: ApiKey) -> None:
        calls: list[int] = []

        def fails(key_id: int, **kwargs: Any) -> None:
            calls.append(key_id)
            raise RuntimeError

        key_uses = KeyUseTimes()
        with receiving(key_used_first_time, fails):
            key_uses.note_use(key.pk)
            key_uses.write("default")
            key_uses.write("default")
        assert calls == [key.pk]

    def test_it_is_not_sent_for_later_uses(self, key: ApiKey) -> None:
        ApiKey.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
        calls: list[Any] = []

        def receive(**kwargs: Any) -> None:
            calls.append(kwargs)

        key_uses = KeyUseTimes()
        with receiving(key_used_first_time, receive):
            key_uses.note_use(key.pk)
            key_uses.write("default")
        assert calls == []
        assert (timezone.now() - ApiKey.objects.get().last_used_at).total_seconds() < 60  # type: ignore[operator]

    def test_without_receivers_it_needs_no_extra_query(self, key: ApiKey) -> None:
        key_uses = KeyUseTimes()
        key_uses.note_use(key.pk)
        with CaptureQueriesContext(connection) as captured:
            key_uses.write("default")
        assert len(captured) == 1
