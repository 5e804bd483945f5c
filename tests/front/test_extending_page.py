"""The view of docs/extending.md works as the page says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import AsyncClient, Client, override_settings
from rest_framework.authentication import BaseAuthentication

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "extending.md"
NATIVE_API = {
    "PROVIDERS": {"echo": {}},
    "DEFAULT_AUTHENTICATION_CLASSES": ["tests.front.test_extending_page.ByName"],
}


class ByName(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        user = User.objects.filter(username=request.headers.get("x-name")).first()
        return (user, None) if user else None


def urls_of_the_page() -> tuple[Any, ...]:
    section = PAGE.read_text().partition("## Your own views")[2]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    names: dict[str, Any] = {"__name__": __name__}
    exec(code, names)
    return tuple(names["urlpatterns"])


def call(server: str, name: str, **chat: Any) -> Any:
    body = {"model": "echo/any", "messages": [{"role": "user", "content": "Hi"}], **chat}
    options: dict[str, Any] = {"content_type": "application/json", "headers": {"x-name": name}}
    if server == "wsgi":
        return Client().post("/native/v1/chat/completions", body, **options)
    return asyncio.run(AsyncClient().post("/native/v1/chat/completions", body, **options))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_the_view_of_the_page(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native_api.usage.recorder.record", lambda entry: None)
    staff = User.objects.create(username="alice", is_staff=True)
    staff.groups.add(Group.objects.create(name="support"))
    User.objects.create(username="bob")
    with override_settings(ROOT_URLCONF=urls_of_the_page(), NATIVE_API=NATIVE_API):
        allowed, refused = call(server, "alice"), call(server, "bob")
    assert (allowed.status_code, refused.status_code) == (200, 403)
    assert (allowed.headers["x-team"], allowed.headers["x-answered-by"]) == ("support", "staff")
    assert (refused.headers.get("x-team"), refused.headers["x-answered-by"]) == (None, "staff")
    assert allowed.json()["choices"][0]["message"]["content"] == "Hi"
