"""What the signals of Django change: all receivers of the app, connected when it is ready."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import m2m_changed, post_delete, post_save

from native_api.access import grants
from native_api.access.keys.cache import forget_changed
from native_api.background import executors, test_environment
from native_api.catalog import catalog, plugins
from native_api.conf import native_settings, usable_settings
from native_api.limits import rules
from native_api.models import ApiKey, Limit, ModelAccess
from native_api.routing.health_sync import health_sync

CACHE_SETTINGS: Final = frozenset({"CACHES", "RATELIMIT_USE_CACHE"})


def connect() -> None:
    setting_changed.connect(forget_old_setting)
    connection_created.connect(test_environment.note_connection)
    for sender, receiver in (
        (ApiKey, forget_changed),
        (ModelAccess, grants.invalidate),
        (get_user_model(), grants.invalidate),
        (ModelAccess, rules.forget),
        (Limit, rules.forget),
    ):
        post_save.connect(receiver, sender=sender)
        post_delete.connect(receiver, sender=sender)
    groups = getattr(get_user_model(), "groups", None)
    if groups is not None:
        m2m_changed.connect(grants.invalidate, sender=groups.through)


def forget_old_setting(*, setting: str, **kwargs: Any) -> None:
    """Only tests change settings while a process runs."""
    if setting == "NATIVE_API":
        native_settings.reload()
        usable_settings.reload()
        plugins.forget()
        catalog.clear()
        rules.clear()
    elif setting in CACHE_SETTINGS:
        health_sync.reset()
        executors.cache.forget_outage()
