"""Which headers authentication classes read, and which requests come from nobody: told before a
body is read."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from django.urls import resolve
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)

from native_api.asgi.callers import Caller
from native_api.authentication import ApiKeyAuthentication, credential_headers


class Keeps(ApiKeyAuthentication):
    pass


class Overrides(ApiKeyAuthentication):
    def authenticate(self, request: Any) -> Any:
        return None


class Tells(BaseAuthentication):
    credential_headers = ("X-Remote-User",)

    def authenticate(self, request: Any) -> Any:
        return None


class TellsNothing(BaseAuthentication):
    pass


@pytest.mark.parametrize(
    ("authentication", "headers"),
    [
        (ApiKeyAuthentication, ("authorization", "x-api-key")),
        (Keeps, ("authorization", "x-api-key")),
        (Overrides, None),
        (Tells, ("x-remote-user",)),
        (TellsNothing, None),
        (BasicAuthentication, ("authorization",)),
        (TokenAuthentication, ("authorization",)),
        (SessionAuthentication, ("cookie",)),
    ],
)
def test_a_class_speaks_for_itself_alone(
    authentication: type, headers: tuple[str, ...] | None
) -> None:
    assert credential_headers(authentication) == headers


@pytest.mark.parametrize(
    ("headers", "is_nobody"),
    [
        ([], True),
        ([(b"authorization", b"")], True),
        ([(b"authorization", b"Bearer x")], False),
        ([(b"cookie", b"theme=dark")], True),
        ([(b"cookie", b"theme=dark; sessionid=x")], False),
        ([(b"x-other", b"x")], True),
    ],
)
def test_a_session_counts_by_its_cookie(
    headers: list[tuple[bytes, bytes]], is_nobody: bool
) -> None:
    classes = [
        "native_api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
    with override_settings(NATIVE_API={"DEFAULT_AUTHENTICATION_CLASSES": classes}):
        assert (
            Caller(
                {"headers": headers}, resolve("/native/v1/chat/completions"), lambda: None
            ).is_nobody
            == is_nobody
        )


@pytest.mark.parametrize("path", ["/native/health/live", "/native/nowhere"])
def test_views_that_are_open_to_all_ask_for_nothing(path: str) -> None:
    assert not Caller({"headers": []}, resolve(path), lambda: None).is_nobody
