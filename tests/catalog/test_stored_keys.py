"""Provider keys in the database: for one address only, out of every dump, and never taken for an
empty key."""

from __future__ import annotations

import json
import logging
import pprint
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from django.forms import model_to_dict
from django.test import Client
from django.utils.log import AdminEmailHandler

from native_api.catalog.providers import build_provider
from native_api.exceptions import UnreadableSecret
from native_api.models import Provider
from native_api.types import Secret
from tests.catalog.provider_rows import PAGE, ROW, SECRET, current, form

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

# --- one address ---------------------------------------------------------------------------------


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
    row.timeouts, row.price = {"TOTAL": 5}, {"INPUT": "1"}
    row.retries, row.enabled, row.own_account = 2, False, True
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


# --- dumps and reports ---------------------------------------------------------------------------


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


def test_a_key_that_looks_like_stored_text_is_stored(row: Provider) -> None:
    row.api_key = Secret("fernet:typed-by-an-operator")
    row.save()
    assert Provider.objects.get().read_api_key() == "fernet:typed-by-an-operator"
