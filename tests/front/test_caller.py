"""The setting CALLER: a site's function decides whom a request is counted for, before a WSGI and an
ASGI server."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client, override_settings
from rest_framework.exceptions import NotAuthenticated

from native_api import background
from native_api.access import keys
from native_api.authentication import default_caller
from native_api.exceptions import PermissionDenied
from native_api.types import Caller
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from native_api.views import misconfigured

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "extending.md"
CHAT = {"model": "echo/any", "messages": [{"role": "user", "content": "Hi"}]}
SECRET = "a-value-that-nobody-may-see"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("server", ["wsgi", "asgi"]),
]


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    misconfigured.log_interval.reset()
    yield
    background.run(background.close_streams())


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[UsageEntry]:
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    monkeypatch.setattr(recorder, "note_key_use", lambda key_id: None)
    return handed


@pytest.fixture
def alice() -> User:
    return User.objects.create(username="alice")


@pytest.fixture
def key(alice: User) -> str:
    return keys.create_key(alice, "website", allowed_models=["echo/*"])[1]


def ask(
    server: str, function: Any, key: str, path: str = "chat/completions", **headers: str
) -> Any:
    sent = {"authorization": f"Bearer {key}", **headers}
    address = f"/native/v1/{path}"
    with override_settings(NATIVE_API={"PROVIDERS": {"echo": {}}, "CALLER": function}):
        if server == "wsgi":
            client: Any = Client()
            return _send(client, address, sent)
        return asyncio.run(_send(AsyncClient(), address, sent))


def _send(client: Any, address: str, headers: dict[str, str]) -> Any:
    if address.endswith("completions"):
        return client.post(address, CHAT, content_type="application/json", headers=headers)
    return client.get(address, headers=headers)


# --- functions of a site -------------------------------------------------------------------------


def as_bob(request: Any) -> Caller:
    """Uses the ORM, which an event loop would refuse."""
    bob = User.objects.get(username="bob")
    return replace(
        default_caller(request), user_id=bob.pk, user_name=threading.current_thread().name
    )


async def awaited(request: Any) -> Caller:
    bob = await User.objects.aget(username="bob")
    return replace(default_caller(request), user_id=bob.pk, user_name="bob")


def stranger(request: Any) -> Caller:
    raise NotAuthenticated


def refused(request: Any) -> Caller:
    raise PermissionDenied("Not on Fridays.")


def broken(request: Any) -> Caller:
    raise RuntimeError(SECRET)


def forgetful(request: Any) -> Any:
    return request.user


# --- what they decide ----------------------------------------------------------------------------


def test_by_default_a_call_counts_for_the_user_and_the_key(
    server: str, alice: User, key: str, records: list[UsageEntry]
) -> None:
    assert ask(server, None, key).status_code == 200
    [record] = records
    assert (record.user_id, record.user_name, record.api_key_name) == (
        alice.pk,
        "alice",
        "website",
    )


@pytest.mark.parametrize("function", [as_bob, awaited, f"{__name__}.awaited"])
def test_a_function_decides_whom_a_call_counts_for(
    server: str, function: Any, key: str, records: list[UsageEntry]
) -> None:
    bob = User.objects.create(username="bob")
    assert ask(server, function, key).status_code == 200
    [record] = records
    assert (record.user_id, record.api_key_name) == (bob.pk, "website")
    assert record.user_name != threading.current_thread().name


def test_usage_is_that_of_the_decided_caller(server: str, key: str) -> None:
    User.objects.create(username="bob")
    answer = ask(server, awaited, key, "usage")
    assert (answer.status_code, answer.json()["user"]) == (200, "bob")


@pytest.mark.parametrize(
    ("function", "status", "code"),
    [
        (stranger, 401, "missing_api_key"),
        (refused, 403, "permission_denied"),
        (broken, 500, "internal_error"),
        (forgetful, 503, "misconfigured"),
    ],
)
@pytest.mark.parametrize("path", ["chat/completions", "models"])
def test_a_function_that_finds_no_caller(
    server: str,
    function: Any,
    status: int,
    code: str,
    path: str,
    key: str,
    records: list[UsageEntry],
) -> None:
    answer = ask(server, function, key, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert SECRET not in answer.content.decode()
    assert records == []


def test_the_log_says_what_the_function_has_to_return(
    server: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    ask(server, forgetful, key, "models")
    [line] = [record for record in caplog.records if record.name == "native_api.conf"]
    assert "NATIVE_API['CALLER']: the function returned User" in line.getMessage()
    assert "Return a native_api.types.Caller" in line.getMessage()


# --- docs/extending.md ---------------------------------------------------------------------------


def function_of_the_page() -> Any:
    section = PAGE.read_text().partition("## Whom a call is counted for")[2]
    names: dict[str, Any] = {"__name__": __name__}
    exec(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0], names)
    return names["on_behalf_of"]


def test_the_function_of_the_page(
    server: str, alice: User, key: str, records: list[UsageEntry]
) -> None:
    function = function_of_the_page()
    User.objects.create(username="bob")
    assert ask(server, function, key).status_code == 200
    assert ask(server, function, key, **{"x-on-behalf-of": "bob"}).status_code == 403
    alice.user_permissions.add(Permission.objects.get(codename="change_user"))
    keys.cache.clear()
    assert ask(server, function, key, **{"x-on-behalf-of": "bob"}).status_code == 200
    assert ask(server, function, key, **{"x-on-behalf-of": "nobody"}).status_code == 403
    assert [record.user_name for record in records] == ["alice", "bob"]
    assert {record.api_key_name for record in records} == {"website"}
