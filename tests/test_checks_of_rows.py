"""What `manage.py check` finds in settings that rows complete, and in a site's surroundings. None
of it is an error that would stop `migrate`, unless the site cannot work at all."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.checks import ERROR, run_checks
from django.test import override_settings

from native_api.checks import databases
from native_api.models import Limit, ModelRoute, Provider, Target

TARGET = {"PROVIDER": "gone", "MODEL": "x"}


def found(native_api: Any, **settings: Any) -> list[str]:
    """The messages, each with its id. None of them is an error."""
    with override_settings(NATIVE_API=native_api, DEBUG=True, **settings):
        messages = run_checks(tags=["native_api"])
    assert not [message for message in messages if message.level >= ERROR], messages
    return [f"{message.id} {message.msg}" for message in messages]


# --- providers and models ------------------------------------------------------------------------


def test_without_a_database_a_provider_may_be_a_row() -> None:
    """This test may not use the database."""
    first, second = found({"MODELS": {"m": {"TARGETS": [TARGET]}}})
    assert first.startswith("native_api.W011 NATIVE_API['MODELS']['m']['TARGETS'][0]: no usable")
    assert second.startswith("native_api.W011 NATIVE_API['MODELS']['m']: no usable target")


def test_a_route_may_name_a_provider_that_is_a_row(db: None) -> None:
    models = {"MODELS": {"m": {"TARGETS": [TARGET]}}}
    assert len(found(models)) == 2
    row = Provider.objects.create(name="gone", preset="echo")
    assert found(models) == []
    Provider.objects.filter(pk=row.pk).update(enabled=False)
    assert len(found(models)) == 2


def test_a_fallback_may_be_a_row(db: None) -> None:
    models = {"m": {"TARGETS": [{"PROVIDER": "echo", "MODEL": "x"}], "FALLBACKS": ["n"]}}
    site = {"PROVIDERS": {"echo": {}}, "MODELS": models}
    assert found(site)[0].startswith("native_api.W021")
    route = ModelRoute.objects.create(name="n")
    Target.objects.create(route=route, provider="echo", model="x")
    assert found(site) == []


def test_a_cycle_through_a_row_is_a_warning(db: None) -> None:
    models = {"m": {"TARGETS": [{"PROVIDER": "echo", "MODEL": "x"}], "FALLBACKS": ["n"]}}
    route = ModelRoute.objects.create(name="n", fallbacks=["m"])
    Target.objects.create(route=route, provider="echo", model="x")
    [message] = found({"PROVIDERS": {"echo": {}}, "MODELS": models})
    assert message.startswith("native_api.W022 NATIVE_API['MODELS']['m']['FALLBACKS']: fallbacks")


# --- limits --------------------------------------------------------------------------------------


def limit(subject: str) -> dict[str, str | int]:
    return {"SUBJECT": subject, "METRIC": "requests", "WINDOW": "day", "AMOUNT": 1}


def caller(request: Any) -> None:
    return None


def test_limits_for_users_and_groups_that_do_not_exist(db: None) -> None:
    site = {"LIMITS": [limit("everyone"), limit("user:alice"), limit("group:staff")]}
    assert found(site) == [
        f"native_api.W020 NATIVE_API['LIMITS'][{index}]: there is no {member}, so the limit applies "
        "to nobody."
        for index, member in ((1, "user 'alice'"), (2, "group 'staff'"))
    ]
    User.objects.create(username="alice")
    Group.objects.create(name="staff")
    assert found(site) == []


def test_the_function_of_the_setting_caller_may_name_whom_it_likes(db: None) -> None:
    assert found({"LIMITS": [limit("user:alice")], "CALLER": caller}) == []


def test_a_row_that_names_nobody(db: None) -> None:
    Limit.objects.create(subject="everyone", metric="requests", window="day", amount=1)
    row = Limit.objects.create(subject="group", metric="requests", window="day", amount=1)
    [message] = found({})
    assert message.startswith(f"native_api.W020 The limit {row.pk} of the database: it is for a gr")


# --- surroundings --------------------------------------------------------------------------------


def test_a_folder_of_the_journal_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    assert found({"JOURNAL_DIR": tmp_path / "a" / "b"}) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_journal_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [message] = found({"JOURNAL_DIR": tmp_path / "file" / "b"})
    assert message.startswith("native_api.W003 NATIVE_API['JOURNAL_DIR']: ")
    assert "is not a folder" in message


def test_a_folder_of_the_journal_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    [message] = found({"JOURNAL_DIR": str(tmp_path)})
    assert "cannot be written by this user" in message


class UsageElsewhere:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "usage" if model._meta.model_name == "usagerecord" else None


def test_usage_in_another_database_than_the_users() -> None:
    with override_settings(NATIVE_API={}, DEBUG=True, DATABASE_ROUTERS=[UsageElsewhere()]):
        [message] = run_checks(tags=["native_api"])
    assert (message.id, message.level) == ("native_api.E011", ERROR)
    assert message.msg == (
        "native_api.UsageRecord is written to the database 'usage', and users to 'default'."
    )


@pytest.mark.parametrize(
    ("vendor", "name", "is_mariadb", "ids"),
    [
        ("postgresql", "PostgreSQL", False, []),
        ("sqlite", "SQLite", False, []),
        ("mysql", "MySQL", True, []),
        ("mysql", "MySQL", False, ["native_api.W005"]),
        ("oracle", "Oracle", False, ["native_api.W005"]),
    ],
)
def test_a_database_that_the_gateway_is_not_tested_with(
    vendor: str, name: str, is_mariadb: bool, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = SimpleNamespace(vendor=vendor, display_name=name, mysql_is_mariadb=is_mariadb)
    monkeypatch.setattr(databases, "connections", {"default": connection})
    messages = list(databases.check_kind_of_database(None))
    assert [message.id for message in messages] == ids
    assert all(name in message.msg for message in messages)
