"""API keys in the admin: shown once and nowhere else, ended and replaced with a question first."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.core.checks import run_checks
from django.test import Client
from django.utils import timezone

from native_api.access.keys import create_key, revoke
from native_api.access.keys.cache import cache
from native_api.exceptions import InvalidApiKey
from native_api.models import ApiKey, ModelAccess

LIST = "/admin/native_api/apikey/"
KEY = re.compile(r"nk_[0-9a-z]{8}_[0-9A-Za-z]{49}")


@pytest.fixture
def operator(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def fields(owner: Any, **values: str) -> dict[str, Any]:
    return {
        "owner": owner.pk,
        "name": "mobile",
        "allowed_models": "",
        "throttle_rate": "",
        "expires_at_0": "",
        "expires_at_1": "",
        **values,
    }


def act(client: Client, action: str, *found: ApiKey, confirmed: bool = True) -> Any:
    data = {
        "action": action,
        "_selected_action": [key.pk for key in found],
        **({"confirmed": "yes"} if confirmed else {}),
    }
    return client.post(LIST, data)


def shown(response: Any) -> list[str]:
    return KEY.findall(html.unescape(response.content.decode()))


def everything_kept() -> str:
    """Sessions, history and rows: where a secret must not be."""
    sessions = [session.get_decoded() for session in Session.objects.all()]
    history = list(LogEntry.objects.values())
    return f"{sessions} {history} {list(ApiKey.objects.values())}"


def test_a_new_key_is_shown_once_in_the_response_to_the_form(operator: Client, alice: Any) -> None:
    response = operator.post(
        f"{LIST}add/", fields(alice, allowed_models="gpt-4o*\n\n claude-* \n", throttle_rate="60/m")
    )
    assert response.status_code == 200
    (text,) = shown(response)
    assert "no-store" in response.headers["cache-control"]
    key = cache.get(text)
    assert (key.owner, key.name, key.allowed_models, key.throttle_rate) == (
        alice,
        "mobile",
        ["gpt-4o*", "claude-*"],
        "60/m",
    )
    for url in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/", "/admin/"):
        page = operator.get(url).content.decode()
        assert text[12:] not in page
        assert key.digest not in page
    assert text[12:] not in everything_kept()
    assert text[12:] not in str(response.cookies)
    assert LogEntry.objects.get().object_repr == f"mobile ({key.prefix}…)"


def test_the_form_has_one_button_since_each_key_has_to_be_copied(operator: Client) -> None:
    page = operator.get(f"{LIST}add/").content.decode()
    assert 'name="_save"' in page
    assert "_addanother" not in page
    assert "_continue" not in page
    assert "admin-autocomplete" in page


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"throttle_rate": "60/min"}, "60/min is not a valid rate"),
        ({"name": ""}, "This field is required"),
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "This is in the past"),
    ],
)
def test_an_invalid_form_is_explained_and_creates_no_key(
    operator: Client, alice: Any, values: dict[str, str], words: str
) -> None:
    response = operator.post(f"{LIST}add/", fields(alice, **values))
    assert words in response.content.decode()
    assert not shown(response)
    assert not ApiKey.objects.exists()


def test_a_change_saves_only_the_changed_fields(operator: Client, alice: Any) -> None:
    key, text = create_key(alice, "mobile", allowed_models=["a*"])
    cache.get(text)
    used = timezone.now()
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=used)
    response = operator.post(
        f"{LIST}{key.pk}/change/",
        fields(alice, name="tablet", allowed_models="a*\nb*", digest="0" * 64),
    )
    assert response.status_code == 302
    found = cache.get(text)
    assert (found.name, found.allowed_models, found.last_used_at, found.digest) == (
        "tablet",
        ["a*", "b*"],
        used,
        key.digest,
    )


def test_the_owner_of_a_key_cannot_be_changed(operator: Client, alice: Any) -> None:
    key, _ = create_key(alice, "mobile")
    operator.post(
        f"{LIST}{key.pk}/change/", fields(User.objects.get(username="root"), name="tablet")
    )
    key.refresh_from_db()
    assert (key.owner, key.name) == (alice, "tablet")


def test_a_revoked_key_cannot_be_edited_back_to_life(operator: Client, alice: Any) -> None:
    key, _ = create_key(alice, "mobile")
    revoke(key)
    assert operator.get(f"{LIST}{key.pk}/change/").status_code == 200
    assert (
        operator.post(
            f"{LIST}{key.pk}/change/", fields(alice, name="tablet", revoked_at="")
        ).status_code
        == 403
    )
    assert not shown(act(operator, "rotate", key))
    key.refresh_from_db()
    assert (key.name, key.state) == ("mobile", "revoked")


def test_revoking_asks_first_and_disables_the_keys(operator: Client, alice: Any) -> None:
    first, text = create_key(alice, "first")
    second, _ = create_key(alice, "second")
    cache.get(text)
    question = act(operator, "revoke", first, second, confirmed=False).content.decode()
    assert "Revoke these keys?" in question
    assert first.prefix in question
    assert cache.get(text) == first
    assert act(operator, "revoke", first, second).status_code == 302
    with pytest.raises(InvalidApiKey):
        cache.get(text)
    assert {key.state for key in ApiKey.objects.all()} == {"revoked"}
    assert LogEntry.objects.count() == 2


def test_rotating_asks_first_and_shows_the_new_keys_once(operator: Client, alice: Any) -> None:
    key, old = create_key(alice, "mobile", throttle_rate="5/m")
    gone, _ = create_key(alice, "gone")
    revoke(gone)
    assert not shown(act(operator, "rotate", key, gone, confirmed=False))
    assert cache.get(old) == key
    response = act(operator, "rotate", key, gone)
    (text,) = shown(response)
    assert "Not rotated" in response.content.decode()
    assert "no-store" in response.headers["cache-control"]
    assert (cache.get(text).pk, cache.get(text).throttle_rate) == (key.pk, "5/m")
    with pytest.raises(InvalidApiKey):
        cache.get(old)
    assert text[12:] not in everything_kept()
    assert not shown(operator.get(LIST))


def test_view_permission_does_not_allow_to_revoke_or_rotate(client: Client, alice: Any) -> None:
    auditor = User.objects.create_user("auditor", is_staff=True)
    auditor.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(auditor)
    key, text = create_key(alice, "mobile")
    assert client.get(LIST).status_code == 200
    for action in ("revoke", "rotate"):
        assert not shown(act(client, action, key))
    assert client.post(f"{LIST}add/", fields(alice)).status_code == 403
    assert cache.get(text) == key


@pytest.mark.parametrize(
    ("state", "found"),
    [("active", ["works", "later"]), ("expired", ["expired"]), ("revoked", ["revoked"])],
)
def test_the_list_filters_by_state(
    operator: Client, alice: Any, state: str, found: list[str]
) -> None:
    now = timezone.now()
    create_key(alice, "works")
    create_key(alice, "later", expires_at=now + timedelta(days=1))
    create_key(alice, "expired", expires_at=now - timedelta(days=1))
    revoke(create_key(alice, "revoked", expires_at=now - timedelta(days=1))[0])
    listed = operator.get(LIST, {"state": state}).context["cl"].queryset
    assert {key.name for key in listed} == set(found)


def test_keys_are_found_by_owner_name_and_prefix(operator: Client, alice: Any) -> None:
    key, _ = create_key(alice, "mobile")
    create_key(User.objects.get(username="root"), "other")
    for term in ("alice", "mobil", key.prefix):
        assert [found.name for found in operator.get(LIST, {"q": term}).context["cl"].queryset] == [
            "mobile"
        ]


def test_names_are_escaped_in_the_pages(operator: Client, alice: Any) -> None:
    key, _ = create_key(alice, "<script>alert(1)</script>")
    assert "<script>alert(1)" not in act(operator, "rotate", key).content.decode()


def test_without_a_user_admin_the_owner_is_a_raw_id_field(operator: Client) -> None:
    users = admin.site.get_model_admin(User)
    admin.site.unregister(User)
    try:
        assert not [message for message in run_checks() if (message.id or "").startswith("admin.")]
        page = operator.get(f"{LIST}add/").content.decode()
        assert '<input type="text" name="owner"' in page
        assert "admin-autocomplete" not in page
    finally:
        admin.site.register(User, type(users))


# --- whose keys staff may make -------------------------------------------------------------------

KEY_PERMISSIONS = ("add_apikey", "change_apikey", "view_apikey")


def grant(user: Any, *codenames: str) -> Any:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def clerk(db: None, client: Client) -> Any:
    """Staff who may make and change keys, and nothing else."""
    user = grant(User.objects.create_user("clerk", is_staff=True), *KEY_PERMISSIONS)
    client.force_login(user)
    return user


def superuser() -> Any:
    return User.objects.create_superuser("boss")


def who_may_more() -> Any:
    return grant(User.objects.create_user("more"), "add_apikey", "view_usagerecord")


def member_of_a_group_that_may_more() -> Any:
    group = Group.objects.create(name="readers")
    group.permissions.add(Permission.objects.get(codename="view_usagerecord"))
    user = User.objects.create_user("member")
    user.groups.add(group)
    return user


def who_may_use_every_model() -> Any:
    return grant(User.objects.create_user("unbound"), "use_every_model")


def who_has_another_model() -> Any:
    user = User.objects.create_user("researcher")
    ModelAccess.objects.create(user=user, patterns=["o1*"])
    ModelAccess.objects.create(user=User.objects.get(username="clerk"), patterns=["gpt-4o*"])
    return user


def who_was_put_out() -> Any:
    """And may come back, with rights that do not show now."""
    return User.objects.create_user("former", is_active=False)


MORE = (
    superuser,
    who_may_more,
    member_of_a_group_that_may_more,
    who_may_use_every_model,
    who_has_another_model,
    who_was_put_out,
)


@pytest.mark.parametrize("owner", MORE)
def test_nobody_creates_a_key_with_more_rights_than_their_own(
    client: Client, clerk: Any, owner: Any
) -> None:
    response = client.post(f"{LIST}add/", fields(owner()))
    assert "You cannot create a key for this user" in response.content.decode()
    assert not shown(response)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("owner", MORE)
def test_a_key_with_more_rights_may_be_revoked_but_not_changed_or_rotated(
    client: Client, clerk: Any, owner: Any
) -> None:
    key, text = create_key(owner(), "theirs", allowed_models=["cheap"], throttle_rate="1/m")
    wider = fields(key.owner, name="theirs", allowed_models="*", throttle_rate="9999/m")
    assert client.post(f"{LIST}{key.pk}/change/", wider).status_code == 403
    response = act(client, "rotate", key)
    assert not shown(response)
    assert "Not rotated" in response.content.decode()
    kept = ApiKey.objects.get()
    assert (kept.digest, kept.allowed_models, kept.throttle_rate) == (key.digest, ["cheap"], "1/m")
    page = client.get(f"{LIST}{key.pk}/change/").content.decode()
    assert text[12:] not in page
    assert key.digest not in page
    act(client, "revoke", key)
    assert ApiKey.objects.get().state == "revoked"


def test_staff_create_keys_for_themselves_and_for_users_with_no_more_rights(
    client: Client, clerk: Any, alice: Any
) -> None:
    peer = grant(User.objects.create_user("peer"), "view_apikey")
    for owner in (clerk, alice, peer):
        assert len(shown(client.post(f"{LIST}add/", fields(owner)))) == 1
        key = ApiKey.objects.get(owner=owner)
        assert (
            client.post(f"{LIST}{key.pk}/change/", fields(owner, name="renamed")).status_code == 302
        )
        assert len(shown(act(client, "rotate", key))) == 1


def test_a_superuser_creates_keys_for_anybody(operator: Client) -> None:
    for make in (who_may_more, who_may_use_every_model, who_was_put_out):
        assert len(shown(operator.post(f"{LIST}add/", fields(make())))) == 1
