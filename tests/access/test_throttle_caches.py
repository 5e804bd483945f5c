"""Where rates are counted: in the site's cache if its processes share it, else in the gateway's own
memory."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings

from tests.access.test_throttling import allowed, key, rates, refused, request

BACKENDS = "django.core.cache.backends"


def site_cache(backend: str, **options: Any) -> Any:
    return override_settings(CACHES={"default": {"BACKEND": f"{BACKENDS}.{backend}", **options}})


def test_counters_do_not_evict_what_a_site_keeps_in_its_memory() -> None:
    with site_cache("locmem.LocMemCache", LOCATION="site", OPTIONS={"MAX_ENTRIES": 300}):
        for number in range(300):
            caches["default"].set(f"site.{number}", number)
        for number in range(1000):
            assert allowed(request(key(number, rate="5/d")))
        kept = caches["default"].get_many([f"site.{number}" for number in range(300)])
        caches["default"].clear()
    assert len(kept) == 300


def test_a_site_that_fills_its_memory_does_not_evict_counters() -> None:
    with site_cache("locmem.LocMemCache", LOCATION="site", OPTIONS={"MAX_ENTRIES": 300}):
        assert allowed(request(key(rate="1/d")))
        for number in range(1000):
            caches["default"].set(f"site.{number}", number)
        assert not allowed(request(key(rate="1/d")))
        caches["default"].clear()


def test_a_dummy_cache_does_not_end_rate_limits(caplog: pytest.LogCaptureFixture) -> None:
    with (
        site_cache("dummy.DummyCache"),
        rates(failed_auth="1/d"),
        caplog.at_level(logging.WARNING),
    ):
        assert [allowed(request(key(rate="2/d"))) for _ in range(4)] == [True, True, False, False]
        assert [refused(request()) is None for _ in range(2)] == [True, False]
    assert caplog.records == []


def test_the_site_sees_its_own_cache_all_the_while() -> None:
    """Also on the event loop, between two requests that are counted."""

    async def look() -> bool:
        before = caches["default"]
        await asyncio.gather(*(asyncio.to_thread(allowed, request(key())) for _ in range(20)))
        allowed(request(key()))
        return caches["default"] is before

    with site_cache("locmem.LocMemCache", LOCATION="site"):
        assert asyncio.run(look())


def test_a_shared_cache_is_used(tmp_path: Path) -> None:
    with site_cache("filebased.FileBasedCache", LOCATION=str(tmp_path)):
        assert [allowed(request(key(rate="1/d"))) for _ in range(2)] == [True, False]
        assert list(tmp_path.iterdir()) != []
