"""Stored keys that cannot be read, such as after SECRET_KEY has changed: they are not taken for
empty ones, and the log, the check and the admin report them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import DatabaseError, connection
from django.db.models.query import QuerySet
from django.test import Client

from native_api.catalog import catalog
from native_api.exceptions import UnreadableSecret
from native_api.logs import LogInterval
from native_api.models import ModelRoute, Provider, Target
from tests.catalog.provider_rows import PAGE, ROW, SECRET, current, form, other_secret_key


def test_a_key_that_cannot_be_decrypted_is_not_an_empty_one(row: Provider) -> None:
    with other_secret_key():
        with pytest.raises(UnreadableSecret, match="cannot be read") as caught:
            Provider.objects.get().read_api_key()
        assert not caught.value.moved
        provider = current().providers["p"]
        assert "cannot be read" in provider.unusable
        assert provider.api_key == ""
    assert Provider.objects.get().read_api_key() == SECRET


def test_saving_a_row_whose_key_cannot_be_read_keeps_it_for_when_the_secret_key_is_back(
    row: Provider,
) -> None:
    with other_secret_key():
        found = Provider.objects.get()
        found.retries = 3
        found.save()
    assert Provider.objects.get().read_api_key() == SECRET


@pytest.mark.parametrize("stored", ["sk-written-by-hand", "fernet:", "fernet:nonsense", "gAAAAA"])
def test_what_was_never_encrypted_is_no_key(row: Provider, stored: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE native_api_provider SET api_key = %s", [stored])
    assert isinstance(Provider.objects.get().api_key_or_error(), UnreadableSecret)


def test_routes_keep_a_target_whose_key_cannot_be_read(row: Provider) -> None:
    """So that a call of it is refused as what it is, and not as one of a model that is unknown."""
    Target.objects.create(route=ModelRoute.objects.create(name="m"), provider="p", model="x")
    with other_secret_key():
        snapshot = current()
    assert [str(target) for target in snapshot.targets("m")] == ["p/x"]
    assert [(problem.path, problem.kind) for problem in snapshot.problems] == [
        ("PROVIDERS['p']", "key")
    ]


def test_the_log_says_it_at_once_and_then_once_a_minute(
    row: Provider, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(catalog, "_key_log_interval", LogInterval(lambda: clock[0]))
    monkeypatch.setattr(catalog, "_logged_problems", [])
    with other_secret_key(), caplog.at_level(logging.ERROR, "native_api.catalog"):
        for seconds, lines in ((0, 1), (10, 1), (49, 1), (2, 2), (5, 2)):
            clock[0] += seconds
            catalog._log_problems(catalog.merge_with_settings(catalog.read_rows()[0], {}).problems)
            told = [
                record.getMessage()
                for record in caplog.records
                if "PROVIDERS['p']" in record.getMessage()
            ]
            assert len(told) == lines
    assert "cannot be read" in told[0]
    assert "SECRET_KEYS" in told[0]


def warnings() -> list[str]:
    found = run_checks(tags=["native_api"])
    assert not [message for message in found if message.level >= 40], "an error would stop migrate"
    return [f"{message.msg} {message.hint}" for message in found if message.id == "native_api.W010"]


def test_the_check_says_which_providers_keys_cannot_be_read(row: Provider) -> None:
    Provider.objects.create(**{**ROW, "name": "keyless"})
    Provider.objects.create(**{**ROW, "name": "off"}, api_key=SECRET, enabled=False)
    assert warnings() == []
    with other_secret_key():
        [told] = warnings()
    assert "'p'" in told
    assert "cannot be read" in told
    Provider.objects.filter(name="p").update(base_url="http://127.0.0.1:2/v1")
    assert "another address" in warnings()[0]


def test_the_check_is_silent_without_a_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: Any) -> None:
        raise DatabaseError("no such table: native_api_provider")

    monkeypatch.setattr(QuerySet, "_fetch_all", away)
    assert warnings() == []


def test_the_admin_says_that_a_key_cannot_be_read_and_asks_for_it(
    staff: Client, row: Provider
) -> None:
    url = f"{PAGE}{row.pk}/change/"
    with other_secret_key():
        staff.force_login(User.objects.get(username="staff"))
        assert staff.get(PAGE).content.decode().count("cannot be read") == 2, (
            "in the columns of the key and of the state"
        )
        assert "cannot be read" in staff.get(url).content.decode()
        assert "cannot be read" in str(
            staff.post(url, form()).context["adminform"].form.errors["new_api_key"]
        )
        assert staff.post(url, {**form(), "enabled": ""}).status_code == 302, (
            "to put it out of use needs no key"
        )
        assert staff.post(url, {**form(), "new_api_key": "sk-again"}).status_code == 302
        assert Provider.objects.get().read_api_key() == "sk-again"
