"""Finding keys: how many queries that costs, how soon a change is noticed, and what happens while
the database is away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from native_api.access import keys
from native_api.access.keys import KeyEnded, create_key, revoke, rotate
from native_api.access.keys.cache import KeyCache, cache, read_row
from native_api.access.keys.text import generate
from native_api.exceptions import DatabaseUnavailable, InvalidApiKey
from native_api.models import ApiKey


class CountingCache(KeyCache):
    """Says how often the database was asked. `gate` holds each query up until it is opened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read=self._read, **options)
        self.queries = 0
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def _read(self, hashed: str) -> ApiKey | None:
        self.queries += 1
        self.asked.set()
        self.gate.wait(60)
        try:
            return read_row(hashed)
        finally:
            connection.close()


@contextmanager
def database_away(error: type[Exception] = OperationalError) -> Iterator[list[str]]:
    """Every query of this thread fails, as it does when the server is gone. Lists them."""
    failed: list[str] = []

    def fail(execute: Any, query: str, *args: Any) -> None:
        failed.append(query)
        raise error("connection refused")

    with connection.execute_wrapper(fail):
        yield failed


@contextmanager
def queries_counted() -> Iterator[Callable[[], int]]:
    count = 0

    def counting(execute: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        return execute(*args)

    with connection.execute_wrapper(counting):
        yield lambda: count


def test_the_second_request_with_a_key_needs_no_query(alice: Any) -> None:
    key, text = create_key(alice, "k")
    with queries_counted() as count:
        assert cache.get(text) == key
        assert cache.get(text).owner.get_username() == "alice"
        assert count() == 1


def test_unknown_keys_are_cached_apart_from_valid_ones(alice: Any) -> None:
    few = KeyCache(size=10)
    _, text = create_key(alice, "k")
    few.get(text)
    with queries_counted() as count:
        for guess in [generate()[1] for _ in range(20)]:
            for _ in range(2):
                with pytest.raises(InvalidApiKey):
                    few.get(guess)
        assert count() == 20
        few.get(text)
        assert count() == 20


def test_the_least_recently_used_key_is_evicted(alice: Any) -> None:
    few = KeyCache(size=2)
    texts = [create_key(alice, name)[1] for name in "abc"]
    for text in texts:
        few.get(text)
    with queries_counted() as count:
        few.get(texts[1])
        few.get(texts[2])
        assert count() == 0
        few.get(texts[0])
        assert count() == 1


def test_a_hundred_threads_with_a_cold_key_cost_one_query(
    transactional_db: None, alice: Any
) -> None:
    key, text = create_key(alice, "k")
    counting = CountingCache()
    counting.gate.clear()
    with ThreadPoolExecutor(100) as threads:
        results = [threads.submit(counting.get, text) for _ in range(100)]
        assert counting.asked.wait(60)
        counting.gate.set()
        assert {result.result(60).pk for result in results} == {key.pk}
    assert counting.queries == 1


def test_a_hundred_coroutines_with_a_cold_key_cost_one_query(
    transactional_db: None, alice: Any
) -> None:
    key, text = create_key(alice, "k")
    counting = CountingCache()

    async def all_at_once() -> list[ApiKey]:
        return await asyncio.gather(*(counting.aget(text) for _ in range(100)))

    assert {found.pk for found in asyncio.run(all_at_once())} == {key.pk}
    assert counting.queries == 1


def test_cancelling_the_first_lookup_does_not_cancel_the_others(
    transactional_db: None, alice: Any
) -> None:
    key, text = create_key(alice, "k")
    counting = CountingCache()
    counting.gate.clear()

    async def first_leaves() -> ApiKey:
        first = asyncio.create_task(counting.aget(text))
        await asyncio.to_thread(counting.asked.wait, 60)
        second = asyncio.create_task(counting.aget(text))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        counting.gate.set()
        return await second

    assert asyncio.run(first_leaves()) == key
    assert counting.queries == 1


def test_a_cached_key_does_not_make_a_coroutine_wait(alice: Any) -> None:
    key, text = create_key(alice, "k")
    cache.get(text)
    found = cache.aget(text)
    with pytest.raises(StopIteration) as stopped:
        found.send(None)
    assert stopped.value.value == key


# --- what ends a key -----------------------------------------------------------------------------


def test_a_revoked_key_stops_working_at_once_in_this_process(alice: Any) -> None:
    key, text = create_key(alice, "k")
    cache.get(text)
    assert revoke(key)
    with pytest.raises(InvalidApiKey, match=rf"{key.prefix}… is unknown, revoked or expired"):
        cache.get(text)
    assert not revoke(key)


def test_a_revocation_wins_over_a_query_that_started_before_it(
    transactional_db: None, alice: Any
) -> None:
    key, text = create_key(alice, "k")
    counting = CountingCache()
    counting.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        before = threads.submit(counting.get, text)
        assert counting.asked.wait(60)
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
        counting.forget(key)
        counting.gate.set()
        with pytest.raises(InvalidApiKey):
            counting.get(text)
        with pytest.raises(InvalidApiKey):
            before.result(60)
    assert counting.queries == 2


def test_expiry_is_checked_on_every_use(alice: Any) -> None:
    _, text = create_key(alice, "k", expires_at=timezone.now() + timedelta(hours=1))
    found = cache.get(text)
    found.expires_at = timezone.now()
    with pytest.raises(InvalidApiKey):
        cache.get(text)


@pytest.mark.parametrize("change", [lambda key: key.delete(), lambda key: key.owner.delete()])
def test_a_deleted_key_stops_working_at_once_in_this_process(
    alice: Any, change: Callable[[ApiKey], Any]
) -> None:
    key, text = create_key(alice, "k")
    cache.get(text)
    change(key)
    with pytest.raises(InvalidApiKey):
        cache.get(text)


def test_changes_by_other_processes_are_seen_when_the_entry_expires(alice: Any) -> None:
    old_at_once = KeyCache(max_age=0)
    key, text = create_key(alice, "k")
    assert old_at_once.get(text) == key
    alice.is_active = False
    alice.save()
    with pytest.raises(InvalidApiKey):
        old_at_once.get(text)


def test_an_entry_expires_well_within_the_promised_five_seconds() -> None:
    assert keys.cache._rows._max_age == 3.0


def test_rotating_replaces_prefix_and_text_and_keeps_the_rest(alice: Any) -> None:
    key, old = create_key(alice, "k", throttle_rate="5/m", allowed_models=["a*"])
    cache.get(old)
    new = rotate(key)
    found = cache.get(new)
    assert (found.pk, found.throttle_rate, found.allowed_models, found.prefix) == (
        key.pk,
        "5/m",
        ["a*"],
        new[:11],
    )
    with pytest.raises(InvalidApiKey):
        cache.get(old)


def test_an_inactive_or_concurrently_rotated_key_is_not_rotated(alice: Any) -> None:
    key, _ = create_key(alice, "k")
    same = ApiKey.objects.get(pk=key.pk)
    rotate(key)
    with pytest.raises(KeyEnded, match="at the same time"):
        rotate(same)
    revoke(key)
    with pytest.raises(KeyEnded, match=f"{key.prefix} is revoked. Create a new key instead."):
        rotate(key)


def test_no_secret_is_in_the_row_or_its_repr(alice: Any) -> None:
    key, text = create_key(alice, "k")
    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    assert text not in str(stored)
    assert text[12:] not in f"{key!r} {key} {stored}"


# --- the database away ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_during_an_outage_cached_keys_work_and_others_are_a_503(
    alice: Any, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    old_at_once = KeyCache(max_age=0)
    key, text = create_key(alice, "k")
    old_at_once.get(text)
    with database_away(error), caplog.at_level(logging.WARNING, "native_api"):
        for _ in range(3):
            assert old_at_once.get(text) == key
            with pytest.raises(DatabaseUnavailable) as refused:
                old_at_once.get(generate()[1])
    assert (refused.value.status, refused.value.code, refused.value.headers) == (
        503,
        "database_unavailable",
        {"retry-after": "5"},
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"The API keys cannot be read ({error.__name__}: connection refused). Those that were read "
        "last stay in use."
    ]
    assert text not in caplog.text


def test_a_cached_key_is_valid_no_longer_than_the_grace_period(alice: Any) -> None:
    without_grace = KeyCache(max_age=0, grace=0)
    _, text = create_key(alice, "k")
    without_grace.get(text)
    with database_away(), pytest.raises(DatabaseUnavailable):
        without_grace.get(text)


def test_a_revoked_key_stays_refused_through_an_outage(alice: Any) -> None:
    old_at_once = KeyCache(max_age=0)
    key, text = create_key(alice, "k")
    revoke(key)
    with pytest.raises(InvalidApiKey):
        old_at_once.get(text)
    with database_away(), pytest.raises(InvalidApiKey):
        old_at_once.get(text)


def test_a_stale_connection_is_not_an_outage(
    transactional_db: None, alice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Connections are only cut on PostgreSQL; set TEST_DATABASE_URL.")
    key, text = create_key(alice, "k")
    process = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [process])
    other.close()
    assert KeyCache().get(text) == key
    assert not caplog.records
