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

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from native_api.catalog.environment import providers_from_environment
from native_api.management import private_files

FORMATTERS = {
    "json": "native_api.logs.JSONFormatter",
    "text": "native_api.logs.TextFormatter",
}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRUE_VALUES = frozenset({"1", "true", "yes", "on"})


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() in TRUE_VALUES


def names(name: str, default: str) -> list[str]:
    """A comma-separated list."""
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def secret_key(folder: Path) -> str:
    """`SECRET_KEY`, else a key that is created once and stored in `folder`, because provider keys
    in the database are encrypted with it. Raises ImproperlyConfigured."""
    if os.environ.get("SECRET_KEY"):
        return os.environ["SECRET_KEY"]
    path = folder / ".secret_key"
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(50))
        _tighten(path)
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key {path} cannot be read or created ({error.strerror}). Make its folder "
            "writable, or set SECRET_KEY."
        ) from error


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


def database(url: str) -> dict[str, Any]:
    """Django's `DATABASES` entry for a URL. Raises ImproperlyConfigured."""
    try:
        settings = dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)
    except ValueError as error:
        hint = "Such as postgres://user:password@host/name or sqlite:////path/db.sqlite3."
        raise ImproperlyConfigured(f"DATABASE_URL is not a valid database URL. {hint}") from error
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        # In WAL mode, readers and the recorder's writer do not wait for each other.
        settings["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            **settings.get("OPTIONS", {}),
        }
    return dict(settings)


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
    raise ImproperlyConfigured(
        f"CACHE_URL: unknown scheme {scheme!r}; use redis://, rediss://, unix://, db:// or locmem://"
    )


def logging(level: str, kind: str) -> dict[str, Any]:
    """Django's `LOGGING`: JSON lines, or text if a person reads them. Raises
    ImproperlyConfigured."""
    kind = kind or ("text" if sys.stderr.isatty() else "json")
    if kind not in FORMATTERS:
        raise ImproperlyConfigured(f"LOG_FORMAT must be one of {', '.join(FORMATTERS)}.")
    if level.upper() not in LEVELS:
        raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(LEVELS)}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {kind: {"()": FORMATTERS[kind]}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": kind}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        # The gateway's own line per request says more than Django's for a 4xx.
        "loggers": {"django.request": {"level": "ERROR"}},
    }


def providers() -> dict[str, dict[str, Any]]:
    """Every vendor whose variables are set, in the form of `NATIVE_API["PROVIDERS"]`."""
    return providers_from_environment(os.environ)
