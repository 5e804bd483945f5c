"""Rates admit exactly their number of requests, however many arrive at once."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import RequestFactory, override_settings
from django_ratelimit.core import get_usage

from native_api import throttling
from native_api.background import executors, outages
from native_api.exceptions import SettingError
from native_api.limits.headers import format_duration
from native_api.models import ApiKey
from native_api.throttling import CallerThrottle, FailedAuthThrottle
from tests.access.concurrent_requests import ask_at_once, redis_cache
from tests.clocks import clock_mover
from tests.fork_server import start_python
from tests.servers import until

REDIS = "redis://127.0.0.1:6379/9"


def request(auth: Any = None, user: Any = None, **meta: Any) -> Any:
    made: Any = RequestFactory().get("/", **meta)
    made.auth, made.user = auth, user or AnonymousUser()
    return made


def key(number: int = 1, rate: str = "") -> ApiKey:
    return ApiKey(pk=number, name="k", prefix=f"nk_{number:08}", throttle_rate=rate)


def allowed(django_request: Any) -> bool:
    return CallerThrottle().allow_request(django_request, None)


def rates(**wanted: Any) -> Any:
    return override_settings(NATIVE_API={"THROTTLE_RATES": wanted})


@pytest.mark.parametrize(
    ("rate", "sent", "text"),
    [
        ("2/m", {"auth": key(7)}, "2 requests per minute for this key"),
        ("1/h", {"user": User(pk=7)}, "1 request per hour for this user"),
        ("5/d", {}, "5 requests per day for this address"),
        ("9/10s", {"auth": key(8, "3/30s")}, "3 requests per 30 s for this key"),
    ],
)
def test_a_throttle_describes_its_limit(rate: str, sent: dict[str, Any], text: str) -> None:
    throttle = CallerThrottle()
    with rates(caller=rate):
        throttle.allow_request(request(**sent), None)
    assert throttle.describe_limit() == text


@pytest.fixture
def redis_prefix() -> Iterator[str]:
    """Django's cache in Redis, with its own prefix whose keys are deleted afterwards. Redis knows
    its connections by this name too."""
    client = redis.Redis.from_url(REDIS)
    try:
        client.ping()
    except redis.ConnectionError:
        pytest.skip("There is no Redis at 127.0.0.1:6379.")
    prefix = f"native-api-test-{uuid.uuid4().hex}"
    url = f"{REDIS}?client_name={prefix}"
    with override_settings(CACHES={"default": redis_cache(url, prefix)}):
        yield prefix
        caches["default"].close()
    for name in client.scan_iter(f"{prefix}*"):
        client.delete(name)
    client.close()


# --- exact counts --------------------------------------------------------------------------------


def test_200_concurrent_threads_are_counted_exactly_in_memory() -> None:
    assert ask_at_once(200, "50/d") == 50


def test_200_concurrent_threads_are_counted_exactly_in_redis(redis_prefix: str) -> None:
    assert ask_at_once(200, "50/d") == 50


def test_several_processes_are_counted_exactly_in_redis(redis_prefix: str) -> None:
    command = ["-m", "tests.access.concurrent_requests", REDIS, redis_prefix, "50", "70/d"]
    processes = [start_python(command, os.environ, has_pipes=True) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    admitted = [int(process.finish()) for process in processes]
    assert sum(admitted) == 70


def test_coroutines_are_counted_exactly_and_share_a_few_connections(redis_prefix: str) -> None:
    async def one() -> bool:
        return await CallerThrottle().aallow_request(request(key(rate="50/d")), None)

    async def all_at_once() -> list[bool]:
        return await asyncio.gather(*(one() for _ in range(200)))

    assert sum(asyncio.run(all_at_once())) == 50
    with redis.Redis.from_url(REDIS) as client:
        ours = [each for each in client.client_list() if each["name"] == redis_prefix]
    assert 1 <= len(ours) <= 8


def test_a_counter_evicted_between_two_steps_is_created_again() -> None:
    with override_settings(
        CACHES={"default": {"BACKEND": "tests.access.test_throttling.ForgetfulCache"}}
    ):
        assert allowed(request(key(rate="5/d")))
        assert allowed(request(key(rate="5/d")))


class ForgetfulCache(LocMemCache):
    """Loses a counter between django-ratelimit's `add` and its `incr`."""

    def add(self, key: str, *args: Any, **options: Any) -> bool:
        added = super().add(key, *args, **options)
        if not added:
            self.delete(key)
        return added


# --- callers and rates ---------------------------------------------------------------------------


def test_each_key_user_and_address_has_its_own_window() -> None:
    with rates(caller="1/d"):
        one_of_each = [
            request(key(1)),
            request(key(2)),
            request(user=User(pk=1)),
            request(user=User(pk=2)),
            request(REMOTE_ADDR="192.0.2.1"),
            request(REMOTE_ADDR="192.0.2.2"),
        ]
        assert [allowed(django_request) for django_request in one_of_each] == [True] * 6
        assert [allowed(django_request) for django_request in one_of_each] == [False] * 6


def test_a_keys_rate_overrides_the_sites() -> None:
    with rates(caller="1/d"):
        assert [allowed(request(key(rate="2/d"))) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("rate", [None, ""])
def test_an_empty_rate_means_no_limit(rate: str | None) -> None:
    throttle = CallerThrottle()
    with rates(caller=rate):
        assert throttle.allow_request(request(key()), None)
    assert (throttle.wait(), throttle.headers()) == (None, {})


def test_a_rate_of_zero_refuses_everything() -> None:
    assert not allowed(request(key(rate="0/s")))


@pytest.mark.parametrize(
    "rate", ["many", "60", "60/min", "-1/s", "1.5/s", "5/0s", "os.getcwd", "٣/s"]
)
def test_a_key_with_an_invalid_rate_gets_the_sites_rate_and_a_warning(
    rate: str, caplog: pytest.LogCaptureFixture
) -> None:
    with rates(caller="1/d"):
        assert [allowed(request(key(rate=rate))) for _ in range(2)] == [True, False]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is not a valid rate" in caplog.text


def test_an_invalid_rate_in_the_settings_is_an_error() -> None:
    with rates(caller="many"), pytest.raises(SettingError, match="must be a valid rate"):
        allowed(request(key()))


def test_ratelimit_enable_turns_counting_off_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(RATELIMIT_ENABLE=False):
        assert allowed(request(key(rate="0/s")))
    assert not caplog.records


# --- waiting and headers -------------------------------------------------------------------------


def test_a_request_is_admitted_after_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    django_request = request(key(rate="1/h"))
    while allowed(django_request):  # the first refusal may come in the next window
        pass
    throttle = CallerThrottle()
    throttle.allow_request(django_request, None)
    wait = throttle.wait()
    assert wait is not None
    assert 0 < wait <= 3600
    clock_mover(monkeypatch)(wait)
    assert allowed(django_request)


def test_the_wait_is_never_zero() -> None:
    throttle = CallerThrottle()
    throttle.allow_request(request(key(rate="1/s")), None)
    assert throttle.wait() == 1


def test_the_headers_have_limit_remaining_and_reset() -> None:
    throttle = CallerThrottle()
    throttle.allow_request(request(key(rate="3/h")), None)
    headers = throttle.headers()
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-reset-requests"] == format_duration(throttle.wait() or 0)
    for _ in range(5):
        throttle.allow_request(request(key(rate="3/h")), None)
    assert throttle.headers()["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (60, "1m0s"), (360, "6m0s"), (3723, "1h2m3s"), (86400, "24h0m0s")],
)
def test_durations_are_formatted_as_by_openai(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


# --- failed authentication -----------------------------------------------------------------------


def refused(django_request: Any) -> int | None:
    return FailedAuthThrottle().count_failure(django_request)


def test_an_address_may_fail_as_often_as_the_rate_says() -> None:
    with rates(failed_auth="2/d"):
        answers = [refused(request(REMOTE_ADDR="192.0.2.1")) for _ in range(3)]
        assert answers[:2] == [None, None]
        assert answers[2] is not None
        assert answers[2] >= 1
        assert refused(request(REMOTE_ADDR="192.0.2.2")) is None


def test_failures_do_not_use_up_the_callers_own_rate() -> None:
    with rates(failed_auth="1/d", caller="1/d"):
        for _ in range(3):
            refused(request(REMOTE_ADDR="192.0.2.1"))
        assert allowed(request(REMOTE_ADDR="192.0.2.1"))


def test_the_address_is_read_as_django_ratelimit_is_configured() -> None:
    with rates(failed_auth="1/d"), override_settings(RATELIMIT_IP_META_KEY="HTTP_X_REAL_IP"):
        assert refused(request(REMOTE_ADDR="127.0.0.1", HTTP_X_REAL_IP="192.0.2.1")) is None
        assert refused(request(REMOTE_ADDR="127.0.0.1", HTTP_X_REAL_IP="192.0.2.2")) is None
        assert refused(request(REMOTE_ADDR="127.0.0.1", HTTP_X_REAL_IP="192.0.2.1")) is not None


@pytest.mark.parametrize(
    "remove", [lambda meta: meta.pop("REMOTE_ADDR"), lambda meta: meta.update(REMOTE_ADDR="")]
)
def test_requests_without_an_address_are_counted_together(
    remove: Any, caplog: pytest.LogCaptureFixture
) -> None:
    django_request = request()
    remove(django_request.META)
    with rates(failed_auth="1/d", caller="1/d"):
        assert refused(django_request) is None
        assert refused(django_request) is not None
        assert [allowed(django_request), allowed(django_request)] == [True, False]
    assert not caplog.records


def test_failures_are_counted_on_an_event_loop() -> None:
    async def twice() -> list[int | None]:
        return [await FailedAuthThrottle().acount_failure(request()) for _ in range(2)]

    with rates(failed_auth="1/d"):
        assert [answer is None for answer in asyncio.run(twice())] == [True, False]


# --- the cache is down ---------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("fail_open", [False, True])
def test_without_the_cache_requests_are_admitted_with_one_warning(
    fail_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    dead = {"default": redis_cache(f"redis://127.0.0.1:{closed_port()}/0", "x")}
    with (
        override_settings(CACHES=dead, RATELIMIT_FAIL_OPEN=fail_open),
        caplog.at_level(logging.WARNING),
    ):
        assert all(allowed(request(key(rate="1/d"))) for _ in range(5))
        assert refused(request()) is None
        assert asyncio.run(CallerThrottle().aallow_request(request(key(rate="1/d")), None))
    assert len(caplog.records) == 1
    assert "rates and limits of short windows are not enforced" in caplog.text


@pytest.mark.parametrize("fail_open", [False, True])
def test_a_cache_that_returns_no_count_counts_as_down(
    fail_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    silent = {"default": {"BACKEND": "tests.access.test_throttling.SilentCache"}}
    with override_settings(CACHES=silent, RATELIMIT_FAIL_OPEN=fail_open):
        assert all(allowed(request(key(rate="1/d"))) for _ in range(3))
    assert len(caplog.records) == 1


class SilentCache(LocMemCache):
    """Hides its errors, as some backends can be configured to do."""

    def add(self, *args: Any, **options: Any) -> Any:
        return None

    def incr(self, *args: Any, **options: Any) -> Any:
        return None


def test_a_hanging_cache_delays_one_request_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(executors.cache, "patience", 0.05)
    asked: list[Any] = []

    def counting_usage(*args: Any, **options: Any) -> Any:
        asked.append(args)
        return get_usage(*args, **options)

    monkeypatch.setattr(throttling, "get_usage", counting_usage)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = redis_cache(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", "x")
        hanging["OPTIONS"] = {"socket_timeout": 3}

        async def ask() -> bool:
            return await CallerThrottle().aallow_request(request(key(rate="1/d")), None)

        with override_settings(CACHES={"default": hanging}):
            assert asyncio.run(ask())
            assert all([asyncio.run(ask()), allowed(request(key(rate="1/d")))])
            assert len(asked) == 1, "who comes later does not wait"
    assert len(caplog.records) == 1


def test_a_cache_that_recovers_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "PROBE_SECONDS", 0.01)
    dead = redis_cache(f"redis://127.0.0.1:{closed_port()}/0", "x")
    files = {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(tmp_path),
    }
    with override_settings(CACHES={"default": dead}):
        assert [allowed(request(key(rate="1/d"))) for _ in range(3)] == [True, True, True]
    with override_settings(CACHES={"default": files}):
        until(lambda: not executors.cache.is_down, "the cache to be used again")
        assert [allowed(request(key(rate="1/d"))) for _ in range(3)] == [True, False, False]


def test_counting_in_memory_needs_no_thread() -> None:
    loop_thread: list[int] = []

    class Watched(CallerThrottle):
        def _count_request(self, request: Any) -> Any:
            loop_thread.append(threading.get_ident())
            return super()._count_request(request)

    asyncio.run(Watched().aallow_request(request(key()), None))
    assert loop_thread == [threading.get_ident()]
