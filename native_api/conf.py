"""The `NATIVE_API` setting: every key, its default, and nothing else. Reading works as DRF's
`api_settings` does.

from native_api.conf import native_settings
native_settings.KEEPALIVE_SECONDS
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

DEFAULTS: dict[str, Any] = {
    "PROVIDERS": {},
    "MODELS": {},
    "ALLOW_DIRECT_MODELS": True,
    "DEFAULT_MODEL_ACCESS": ("*",),
    "LIMITS": (),
    "LIMIT_THRESHOLD": 80,
    "FALLBACK_PRICE": None,
    "THROTTLE_RATES": {"caller": "600/m", "failed_auth": "20/m"},
    "TIMEOUTS": {"CONNECT": 5, "FIRST_TOKEN": 60, "BETWEEN_TOKENS": 30, "TOTAL": 600, "BODY": 60},
    "ATTEMPTS": {"RETRIES": 1, "TOTAL": 6, "SECONDS": 120},
    "MAX_BODY_BYTES": 20 * 1024 * 1024,
    "MAX_BODIES_BYTES": 256 * 1024 * 1024,
    "MAX_JSON_VALUES": 100_000,
    "KEEPALIVE_SECONDS": 15,
    "REMOTE_FILES": None,
    "JOURNAL_DIR": None,
    "STRICT": True,
    "SECRET_KEYS": (),
    "DEFAULT_AUTHENTICATION_CLASSES": ("native_api.authentication.ApiKeyAuthentication",),
    "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.IsAuthenticated",),
    "DEFAULT_THROTTLE_CLASSES": ("native_api.throttling.CallerThrottle",),
}

MERGED = frozenset({"ATTEMPTS", "THROTTLE_RATES", "TIMEOUTS"})
"""Settings whose members have defaults of their own."""

CLASSES = frozenset(
    {"DEFAULT_AUTHENTICATION_CLASSES", "DEFAULT_PERMISSION_CLASSES", "DEFAULT_THROTTLE_CLASSES"}
)
"""Settings that hold dotted paths to classes."""


class NativeSettings:
    """Reads `settings.NATIVE_API` over `DEFAULTS`; a value is kept until Django says the setting
    changed."""

    def __getattr__(self, name: str) -> Any:
        if name not in DEFAULTS:
            raise AttributeError(f"NATIVE_API has no setting {name!r}.")
        value = self._read(name)
        self.__dict__[name] = value
        return value

    def _read(self, name: str) -> Any:
        value = user_settings().get(name, DEFAULTS[name])
        if name in MERGED:
            return {**DEFAULTS[name], **value}
        if name in CLASSES:
            return [import_string(path) if isinstance(path, str) else path for path in value]
        return value

    def reload(self) -> None:
        self.__dict__.clear()


def user_settings() -> dict[str, Any]:
    """The site's own `NATIVE_API`, as written."""
    return getattr(settings, "NATIVE_API", None) or {}


native_settings = NativeSettings()


def reload_on_change(*, setting: str, **kwargs: Any) -> None:
    if setting == "NATIVE_API":
        native_settings.reload()


setting_changed.connect(reload_on_change)
