"""Provider keys in the database: for one address only, out of every dump, and never taken for an
empty key."""

from __future__ import annotations

import json
import logging
import pprint
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models.query import QuerySet
from django.forms import model_to_dict
from django.test import Client, override_settings
from django.utils.log import AdminEmailHandler

from native_api import checks
from native_api.catalog import catalog
from native_api.catalog.providers import build_provider
from native_api.exceptions import UnreadableSecret
from native_api.models import ModelRoute, Provider, Target
from native_api.types import Secret

SECRET = "sk-plain-text-of-a-key"
ROW: dict[str, Any] = {"name": "p", "dialect": "openai", "base_url": "http://127.0.0.1:1/v1"}
CHANGES: dict[str, Any] = {
    "name": "other",
    "preset": "groq",
    "dialect": "openai_responses",
    "base_url": "http://127.0.0.1:2/v1",
    "auth": "x-api-key",
    "headers": {"host": "elsewhere.example"},
    "options": {"deployment": "other"},
}
"""One of each of the values that decide where a key is sent, or how."""

PAGE = "/admin/native_api/provider/"
FORM = {**ROW, "headers": "{}", "options": "{}", "price": "{}", "enabled": "on"}


@pytest.fixture
def row(db: None) -> Provider:
    return Provider.objects.create(**ROW, api_key=SECRET)


@pytest.fixture
def staff(db: None, client: Client) -> Client:
    """May change providers, and nothing else."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["change_provider", "add_provider"])
    )
    client.force_login(user)
    return client


@contextmanager
def other_secret_key() -> Iterator[None]:
    with override_settings(
        SECRET_KEY="another key, long enough to satisfy every check of Django's"
    ):
        yield


def form(**changes: Any) -> dict[str, Any]:
    return {
        **FORM,
        **{
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    }


def current() -> catalog.Catalog:
    catalog.forget()
    return catalog.current()


# --- one address -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("way", ["save", "update_fields", "update", "sql"])
def test_a_key_cannot_be_read_once_what_it_is_for_has_changed_by_whatever_way(
    row: Provider, field: str, way: str
) -> None:
    value = CHANGES[field]
    if way in ("save", "update_fields"):
        setattr(row, field, value)
        row.save(update_fields=[field] if way == "update_fields" else None)
    elif way == "update":
        Provider.objects.update(**{field: value})
    else:
        with connection.cursor() as cursor:
            text = json.dumps(value) if isinstance(value, dict) else value
            cursor.execute(f"UPDATE native_api_provider SET {field} = %s", [text])
    with pytest.raises(UnreadableSecret) as caught:
        Provider.objects.get().read_api_key()
    assert caught.value.moved
    assert all(SECRET not in str(provider.api_key) for provider in current().providers.values())


def test_a_key_that_is_copied_into_another_row_cannot_be_read_there(row: Provider) -> None:
    Provider.objects.create(
        **{**ROW, "name": "copy", "base_url": "http://127.0.0.1:3/v1"}, api_key=row.api_key
    )
    assert isinstance(Provider.objects.get(name="copy").api_key_or_error(), UnreadableSecret)


def test_a_key_stays_when_something_else_of_its_provider_changes(row: Provider) -> None:
    row.timeout, row.retries, row.enabled, row.price, row.own_account = (
        5,
        2,
        False,
        {"INPUT": "1"},
        True,
    )
    row.save()
    assert Provider.objects.get().read_api_key() == SECRET


def test_values_that_mean_the_same_are_the_same(row: Provider) -> None:
    Provider.objects.update(options={}, headers={}, preset="")
    assert Provider.objects.get().read_api_key() == SECRET


@pytest.mark.parametrize("field", CHANGES)
def test_the_form_asks_for_the_key_when_what_it_is_for_changes(
    staff: Client, row: Provider, field: str
) -> None:
    url, changes = f"{PAGE}{row.pk}/change/", {field: CHANGES[field]}
    answer = staff.post(url, form(**changes))
    assert answer.status_code == 200
    [problem] = answer.context["adminform"].form.errors["new_api_key"]
    assert str(Provider._meta.get_field(field).verbose_name).lower() in problem.lower()
    assert Provider.objects.get().read_api_key() == SECRET
    assert (
        staff.post(url, {**form(**changes), "new_api_key": "sk-for-the-new-one"}).status_code == 302
    )
    assert Provider.objects.get().read_api_key() == "sk-for-the-new-one"


def test_the_form_takes_a_change_that_removes_the_key(staff: Client, row: Provider) -> None:
    assert (
        staff.post(
            f"{PAGE}{row.pk}/change/",
            {**form(base_url="http://127.0.0.1:2/v1"), "remove_api_key": "on"},
        ).status_code
        == 302
    )
    assert Provider.objects.get().read_api_key() == ""


def test_a_post_that_names_the_stored_column_changes_nothing_of_it(
    staff: Client, row: Provider
) -> None:
    stored = str(Provider.objects.get().api_key)
    staff.post(f"{PAGE}{row.pk}/change/", {**form(), "api_key": "sk-posted"})
    assert str(Provider.objects.get().api_key) == stored


@pytest.mark.parametrize(
    "name", ["authorization", "x-api-key", "Cookie", "cf-aig-authorization", "x-access-token"]
)
def test_the_form_takes_no_credentials_among_headers(
    staff: Client, row: Provider, name: str
) -> None:
    answer = staff.post(
        f"{PAGE}{row.pk}/change/", {**form(headers={name: SECRET}), "new_api_key": SECRET}
    )
    assert "is a secret" in str(answer.context["adminform"].form.errors["headers"])


ACCOUNT = {"account": {"private_key": "x"}}


@pytest.mark.parametrize("options", [{"private_key": "x"}, ACCOUNT, {"a": [{"api_key": "x"}]}])
def test_no_credentials_stand_in_options_at_any_depth(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is a secret"):
        build_provider(
            "p", {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1", "OPTIONS": options}
        )


# --- dumps and reports -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["python", "json", "jsonl", "xml"])
def test_what_is_serialized_is_encrypted_and_is_taken_back_unchanged(
    row: Provider, format: str
) -> None:
    stored = str(Provider.objects.get().api_key)
    for provider in (Provider.objects.get(), Provider(**ROW, api_key=SECRET), row):
        dump: Any = serializers.serialize(format, [provider])
        assert SECRET not in str(dump)
        assert "fernet:" in str(dump)
    dump = serializers.serialize(format, Provider.objects.all())
    Provider.objects.all().delete()
    for found in serializers.deserialize(format, dump):
        found.save()
    assert str(Provider.objects.get().api_key) == stored
    assert Provider.objects.get().read_api_key() == SECRET


def test_dumpdata_and_loaddata(row: Provider, tmp_path: Path) -> None:
    out, fixture = StringIO(), tmp_path / "providers.json"
    call_command("dumpdata", "native_api.provider", stdout=out)
    assert SECRET not in out.getvalue()
    Provider.objects.all().delete()
    fixture.write_text(out.getvalue())
    call_command("loaddata", str(fixture), verbosity=0)
    assert Provider.objects.get().read_api_key() == SECRET


def test_a_fixture_with_a_key_in_plain_text_is_refused_without_it(db: None) -> None:
    dump = json.dumps(
        [{"model": "native_api.provider", "pk": 1, "fields": {**ROW, "api_key": SECRET}}]
    )
    with pytest.raises(ValueError, match="is not encrypted") as caught:
        next(iter(serializers.deserialize("json", dump))).save()
    assert SECRET not in str(caught.value)


def test_a_write_that_does_not_know_the_row_takes_no_plain_text(row: Provider) -> None:
    row.api_key = "sk-new"
    with pytest.raises(ValueError, match="call save"), transaction.atomic():
        Provider.objects.update(api_key="sk-new")
    with pytest.raises(ValueError, match="call save"), transaction.atomic():
        Provider.objects.bulk_update([row], ["api_key"])
    Provider.objects.bulk_create([Provider(**{**ROW, "name": "q"}, api_key="sk-q")])
    assert Provider.objects.get(name="q").read_api_key() == "sk-q"


def test_nothing_that_shows_a_row_shows_its_key(row: Provider) -> None:
    unsaved = Provider(**ROW, api_key=SECRET)
    for provider in (unsaved, row, Provider.objects.get()):
        shown = [
            repr(provider),
            str(provider),
            pprint.pformat(vars(provider)),
            repr(provider.definition()),
            str(model_to_dict(provider)),
        ]
        assert SECRET not in "".join(shown)
    values = [list(Provider.objects.values()), list(Provider.objects.values_list())]
    assert SECRET not in f"{values}"
    assert SECRET not in json.dumps(values, default=str)


def test_the_history_of_a_provider_has_no_key(staff: Client, row: Provider) -> None:
    staff.post(f"{PAGE}{row.pk}/change/", {**form(), "new_api_key": "sk-typed-in-later"})
    history = list(LogEntry.objects.values())
    assert history
    assert "sk-typed-in-later" not in str(history)


def test_a_report_of_an_error_in_the_form_has_no_key(
    staff: Client, row: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django mails reports to ADMINS, with what was posted and the variables of every frame."""
    reports: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(
            self,
            subject: str,
            message: str,
            *arguments: Any,
            html_message: str = "",
            **options: Any,
        ) -> None:
            reports.append(message + html_message)

    def fails(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Provider, "save_base", fails)
    staff.raise_request_exception = False
    monkeypatch.setattr(
        logging.getLogger("django.request"), "handlers", [Handler(include_html=True)]
    )
    answer = staff.post(f"{PAGE}{row.pk}/change/", {**form(), "new_api_key": "sk-typed-in-later"})
    assert answer.status_code == 500
    [report] = reports
    assert "the disk is full" in report
    assert "sk-typed-in-later" not in report


# --- another SECRET_KEY ------------------------------------------------------------------------------------


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
    monkeypatch.setattr(catalog.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(catalog, "_logged_problems", [])
    with other_secret_key(), caplog.at_level(logging.ERROR, "native_api.catalog"):
        for seconds, lines in ((0, 1), (10, 1), (49, 1), (2, 2), (5, 2)):
            clock[0] += seconds
            catalog._log_problems(catalog.merge_with_settings(catalog._read_rows()[0], {}).problems)
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
    assert list(checks.check_stored_keys(None)) == []


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


# --- secrets in addresses ----------------------------------------------------------------------------------

ADDRESSES = [
    "https://user:pass-word-1@llm.example.com/v1",
    "https://pass-word-1@llm.example.com/v1",
    "https://llm.example.com/v1?key=pass-word-1",
    "https://llm.example.com/v1?api-version=1&api_key=pass-word-1",
    "https://llm.example.com/v1?X-Amz-Signature=pass-word-1",
    "https://llm.example.com/v1#access_token=pass-word-1",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_with_a_secret_in_it_is_refused_by_check_and_form_and_never_shown(
    staff: Client, row: Provider, url: str
) -> None:
    with override_settings(
        NATIVE_API={"PROVIDERS": {"q": {"DIALECT": "openai", "BASE_URL": url, "API_KEY": "k"}}}
    ):
        [message] = [
            message
            for message in run_checks(tags=["native_api"])
            if message.id == "native_api.E007"
        ]
    assert "API_KEY" in str(message.hint)
    answer = staff.post(f"{PAGE}add/", {**form(name="q", base_url=url), "new_api_key": "k"})
    [problem] = answer.context["adminform"].form.non_field_errors()
    assert "is a secret" in problem
    assert "pass-word-1" not in f"{message} {problem}"


@pytest.mark.parametrize("url", [*ADDRESSES, "user:pass-word-1@host/v1"])
@pytest.mark.parametrize("permission", ["change_provider", "view_provider"])
def test_an_address_that_is_in_the_database_already_is_shown_without_its_secret(
    staff: Client, row: Provider, url: str, permission: str
) -> None:
    Provider.objects.update(base_url=url, options={"endpoint": url})
    user = User.objects.create_user("looks", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    staff.force_login(user)
    for page in (PAGE, f"{PAGE}{row.pk}/change/", f"{PAGE}{row.pk}/history/"):
        assert "pass-word-1" not in staff.get(page).content.decode()
    assert "pass-word-1" not in str(current().problems)


def test_a_secret_that_is_typed_like_stored_text_is_a_key(row: Provider) -> None:
    row.api_key = Secret("fernet:typed-by-somebody")
    row.save()
    assert Provider.objects.get().read_api_key() == "fernet:typed-by-somebody"
