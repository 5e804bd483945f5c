"""Django's test environment is recognised, and nothing else is taken for it."""

from __future__ import annotations

import sys

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends import locmem
from django.test import utils

from native_api.background import test_environment


def test_in_a_test() -> None:
    assert test_environment.is_active()
    assert hasattr(utils._TestState, "saved_data"), "Django's name, which `is_set_up` relies on"


def test_not_in_production_that_keeps_its_mail_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(utils._TestState, "saved_data")
    monkeypatch.delattr(mail, "outbox")
    assert not test_environment.is_active()
    message = EmailMessage("Hello", "", "site@example.org", ["user@example.org"])
    locmem.EmailBackend().send_messages([message])
    assert mail.outbox
    assert not test_environment.is_active()
    assert test_environment.current_test() is None


def test_not_where_nothing_of_djangos_tests_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "django.test.utils")
    assert not test_environment.is_active()
