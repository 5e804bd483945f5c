"""Kept responses in the admin: whose they are and how large, and nothing of what they say."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from native_api.models import KeptResponse
from native_api.models.responses import KeptItem
from native_api.types import Caller
from tests.gateway.kept import SECRET_WORDS, keep, make_key_alone

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("keeping_site"),
]

LIST = "/admin/native_api/keptresponse/"


@pytest.fixture
def row(keeping_site: None, alice: Caller, bob: Caller) -> KeptResponse:
    keep(alice, "resp_1", SECRET_WORDS, SECRET_WORDS)
    keep(bob, "resp_2", SECRET_WORDS, SECRET_WORDS)
    return KeptResponse.objects.get(response_id="resp_1")


@pytest.fixture
def staff(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def open_page(client: Client, url: str, data: Any = None) -> str:
    """The page, which was made without reading any content."""
    with CaptureQueriesContext(connection) as queries:
        page = client.get(url) if data is None else client.post(url, data)
    for query in queries:
        for column in ("items", "response"):
            assert f'"native_api_keptresponse"."{column}"' not in query["sql"]
    assert page.status_code == 200, page
    text = page.content.decode()
    assert "cheese" not in text
    return text


def test_the_list_and_the_page_of_one(staff: Client, row: KeptResponse) -> None:
    listed = open_page(staff, LIST)
    shown = open_page(staff, f"{LIST}{row.pk}/change/")
    for text in (listed, shown):
        for expected in ("alice", "gpt-5", "resp_1", str(row.size)):
            assert expected in text
    assert 'name="_save"' not in shown
    assert staff.get(f"{LIST}add/").status_code == 403


@pytest.mark.parametrize(
    ("term", "found"),
    [("alice", ["resp_1"]), ("nobody", []), ("", ["resp_1", "resp_2", "resp_3"])],
)
def test_searching_for_an_owner(
    staff: Client, row: KeptResponse, term: str, found: list[str]
) -> None:
    keep(make_key_alone("job"), "resp_3", "?", "!")
    text = open_page(staff, f"{LIST}?q={term}")
    assert [each for each in ("resp_1", "resp_2", "resp_3") if each in text] == found


def test_searching_for_a_key(staff: Client, row: KeptResponse) -> None:
    keep(make_key_alone("job"), "resp_3", "?", "!")
    key = KeptResponse.objects.get(response_id="resp_3").api_key
    assert key is not None
    assert "resp_3" in open_page(staff, f"{LIST}?q={key.prefix}")


def test_staff_may_delete_some(staff: Client, row: KeptResponse) -> None:
    data = {"action": "delete_selected", "_selected_action": [row.pk]}
    open_page(staff, LIST, data)
    with CaptureQueriesContext(connection) as queries:
        assert staff.post(LIST, {**data, "post": "yes"}).status_code == 302
    assert not any('"native_api_keptresponse"."items"' in query["sql"] for query in queries)
    assert KeptResponse.objects.get().response_id == "resp_2"
    assert KeptItem.objects.count() == 2
    assert "cheese" not in str(list(LogEntry.objects.values_list("change_message", "object_repr")))


def test_whoever_may_only_look_deletes_nothing(client: Client, row: KeptResponse) -> None:
    user = User.objects.create(username="viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_keptresponse"))
    client.force_login(user)
    open_page(client, LIST)
    client.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert KeptResponse.objects.count() == 2


def test_the_page_that_deletes_a_user_reads_none_and_lists_none(
    staff: Client, row: KeptResponse, alice: Caller
) -> None:
    page = f"/admin/auth/user/{alice.user_id}/delete/"
    assert "resp_1" not in open_page(staff, page)
    staff.post(page, {"post": "yes"})
    assert KeptResponse.objects.get().response_id == "resp_2"
