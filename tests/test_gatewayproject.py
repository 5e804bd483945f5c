"""What the project's settings make of the environment."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from gatewayproject import environment
from native_api.catalog.presets import PRESETS


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", True),
        ("true", True),
        ("ON", True),
        (" yes ", True),
        ("0", False),
        ("", False),
        ("off", False),
    ],
)
def test_a_flag_is_on_or_off(monkeypatch: pytest.MonkeyPatch, text: str, meant: bool) -> None:
    monkeypatch.setenv("A_FLAG", text)
    assert environment.flag("A_FLAG") is meant


def test_what_is_not_set_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_FLAG", raising=False)
    assert environment.flag("A_FLAG", default=True) is True
    assert environment.names("A_FLAG", "a, b,,c ") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("url", "backend", "location"),
    [
        ("redis://127.0.0.1:6379/1", "redis.RedisCache", "redis://127.0.0.1:6379/1"),
        ("rediss://user:word@host/1", "redis.RedisCache", "rediss://user:word@host/1"),
        ("unix:///run/redis.sock", "redis.RedisCache", "unix:///run/redis.sock"),
        ("db://cache_table", "db.DatabaseCache", "cache_table"),
        ("locmem://", "locmem.LocMemCache", None),
        ("", "locmem.LocMemCache", None),
    ],
)
def test_a_cache_is_named_by_its_url(url: str, backend: str, location: str | None) -> None:
    made = environment.cache(url)
    assert (made["BACKEND"], made.get("LOCATION")) == (
        f"django.core.cache.backends.{backend}",
        location,
    )


def test_a_cache_that_is_none_of_these_is_named_in_the_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL: unknown scheme 'memcached'"):
        environment.cache("memcached://127.0.0.1")


def test_a_provider_is_there_for_each_key_variable_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for preset in PRESETS.values():
        monkeypatch.delenv(preset.key_variable or "NONE", raising=False)
    assert environment.providers() == {}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert environment.providers() == {"openai": {"API_KEY": "sk-1"}}


def test_a_secret_key_is_made_once_and_kept_to_oneself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    made = environment.secret_key(tmp_path)
    assert len(made) >= 50
    assert environment.secret_key(tmp_path) == made
    assert stat.S_IMODE((tmp_path / ".secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".secret_key"]
    monkeypatch.setenv("SECRET_KEY", "of the environment")
    assert environment.secret_key(tmp_path) == "of the environment"


def test_processes_that_start_together_agree_on_the_secret_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    start = threading.Barrier(16)

    def read(_number: int) -> str:
        start.wait()
        return environment.secret_key(tmp_path)

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(read, range(16)))) == 1
