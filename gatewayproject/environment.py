"""Reads the project's settings from the environment. The defaults work on one machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from native_api.catalog.environment import providers_from_environment
from native_api.management import private_files

TRUE_VALUES = frozenset({"1", "true", "yes", "on"})


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() in TRUE_VALUES


def names(name: str, default: str) -> list[str]:
    """A comma-separated list."""
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def secret_key(folder: Path) -> str:
    """`SECRET_KEY`, else a key that is created once and stored in `folder`, because provider keys
    in the database are encrypted with it."""
    if os.environ.get("SECRET_KEY"):
        return os.environ["SECRET_KEY"]
    path = folder / ".secret_key"
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(50))
    _tighten(path)
    return path.read_text().strip()


def _tighten(path: Path) -> None:
    try:
        if private_files.tighten(path):
            sys.stderr.write(
                f"Other users of this machine could use {path}; now only its owner can.\n"
            )
    except OSError as error:
        sys.stderr.write(
            f"Other users of this machine can use {path}, and its permissions cannot be changed "
            f"({error.strerror}).\n"
        )


def _write_once(path: Path, text: str) -> None:
    """Create the file for its owner only, with its whole text at once, unless another process has
    created it first."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        os.unlink(unfinished)


def cache(url: str) -> dict[str, Any]:
    """Django's `CACHES` entry for `redis://…`, `rediss://…`, `unix://…`, `db://TABLE`, `locmem://`
    or an empty URL."""
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    if scheme == "db":
        return {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": urlsplit(url).netloc,
        }
    if scheme in ("", "locmem"):
        # With the default of 300 entries, counters would be evicted while they are used.
        return {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    raise ValueError(
        f"CACHE_URL: unknown scheme {scheme!r}; use redis://, rediss://, unix://, db:// or locmem://"
    )


def providers() -> dict[str, dict[str, Any]]:
    """Every vendor whose variables are set, in the form of `NATIVE_API["PROVIDERS"]`."""
    return providers_from_environment(os.environ)
