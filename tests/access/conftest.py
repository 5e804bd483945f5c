"""A user, and nothing remembered from the test before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache as django_cache

from native_api import throttling
from native_api.access import keys
from native_api.background import executors


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    keys.cache.clear()
    django_cache.clear()
    throttling.own_cache().clear()
    yield
    keys.cache.clear()
    end_threads_left_behind()


def end_threads_left_behind() -> None:
    """A call that hung in this test must not fail, and be noted, in the next."""
    executors.cache.reset()
    for thread in threading.enumerate():
        if thread.name.startswith("native-api-cache_"):
            thread.join(60)


@pytest.fixture
def alice(db: None) -> Any:
    return get_user_model().objects.create_user("alice", password="alice")
