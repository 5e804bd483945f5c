"""Reads what the environment says; with nothing set, everything has a value that works on one machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from native_api.providers import PRESETS

TRUE = frozenset({"1", "true", "yes", "on"})


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() in TRUE


def names(name: str, default: str) -> list[str]:
    """A comma-separated list."""
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def secret_key(folder: Path) -> str:
    """`SECRET_KEY`, else one made once and kept in `folder`: provider keys in the database are encrypted with it."""
    if os.environ.get("SECRET_KEY"):
        return os.environ["SECRET_KEY"]
    path = folder / ".secret_key"
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text().strip()


def cache(url: str) -> dict[str, Any]:
    """Django's `CACHES` entry for `redis://…`, `rediss://…`, `unix://…`, `db://TABLE`, `locmem://` or nothing."""
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
    if scheme == "db":
        return {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": urlsplit(url).netloc}
    if scheme in ("", "locmem"):
        # The default of 300 entries would throw counters out while they count.
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
    raise ValueError(f"CACHE_URL: unknown scheme {scheme!r}; use redis://, rediss://, unix://, db:// or locmem://")


def region() -> dict[str, str]:
    """The region that AWS's own tools would use, as a provider's OPTIONS; nothing where there is none."""
    name = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {"region": name} if name else {}


def providers() -> dict[str, dict[str, Any]]:
    """Every vendor whose usual key variable is set and whose address needs nothing but a region, as `NATIVE_API["PROVIDERS"]`."""
    found: dict[str, dict[str, Any]] = {}
    for preset in PRESETS.values():
        options = region() if "{region}" in preset.base_url else {}
        is_whole = "{" not in preset.base_url.replace("{region}", options.get("region", "{"))
        if preset.key_variable and os.environ.get(preset.key_variable) and is_whole:
            found[preset.name] = {"API_KEY": os.environ[preset.key_variable], **({"OPTIONS": options} if options else {})}
    return found
