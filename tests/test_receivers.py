"""Receivers of signals, and what a fork resets, are each registered in one place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import setting_changed
from django.db.models.signals import post_delete, post_save
from django.test import override_settings

from native_api import receivers
from native_api.background import executors
from native_api.conf import native_settings
from native_api.models import ApiKey, Limit, ModelAccess

PACKAGE = Path(receivers.__file__).parent


def modules_with(pattern: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(pattern, path.read_text())
    }


def test_signals_of_django_are_connected_when_the_app_is_ready() -> None:
    assert modules_with(r"(post_\w+|m2m_changed|setting_changed)\.connect\(|@receiver\(") == {
        "receivers.py"
    }


def test_a_fork_has_one_registry() -> None:
    """What begins with a server has a timer to stop before the fork."""
    assert modules_with(r"register_at_fork\(") == {"forks.py", "background/serving.py"}


@pytest.mark.parametrize("sender", [ApiKey, Limit, ModelAccess])
@pytest.mark.parametrize("signal", [post_save, post_delete])
def test_a_change_of_rows_is_noticed(sender: Any, signal: Any) -> None:
    assert signal.has_listeners(sender)


def test_connecting_again_changes_nothing() -> None:
    before = len(setting_changed.receivers)
    receivers.connect()
    assert len(setting_changed.receivers) == before


def test_settings_are_read_again() -> None:
    with override_settings(NATIVE_API={"THROTTLE_RATES": {"caller": "7/m"}}):
        assert native_settings.THROTTLE_RATES["caller"] == "7/m"
    assert native_settings.THROTTLE_RATES["caller"] != "7/m"


def test_another_cache_is_asked_although_the_last_one_was_down() -> None:
    assert executors.cache.outage is not None
    executors.cache.outage.begin(ConnectionError())
    with override_settings(
        CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    ):
        assert not executors.cache.is_down
