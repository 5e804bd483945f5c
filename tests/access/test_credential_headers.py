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


OF_KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class Tells(BaseAuthentication):
    credential_headers = ("X-Remote-User",)

    def authenticate(self, request: Any) -> Any:
        return None


class TellsNothing(BaseAuthentication):
    pass


@pytest.mark.parametrize(
    ("authentication", "headers"),
    [
        (ApiKeyAuthentication, OF_KEYS),
        (Keeps, OF_KEYS),
        (Overrides, None),
        (Tells, ("x-remote-user",)),
        (TellsNothing, None),
        (BasicAuthentication, ("authorization",)),
        (TokenAuthentication, ("authorization",)),
        (SessionAuthentication, ("cookie",)),
    ],
)
def test_each_authentication_class_names_its_own_headers(
    authentication: type, headers: tuple[str, ...] | None
) -> None:
    assert credential_headers(authentication) == headers


@pytest.mark.parametrize(
    ("headers", "is_anonymous"),
    [
        ([], True),
        ([(b"authorization", b"")], True),
        ([(b"authorization", b"Bearer x")], False),
        ([(b"cookie", b"theme=dark")], True),
        ([(b"cookie", b"theme=dark; sessionid=x")], False),
        ([(b"x-other", b"x")], True),
    ],
)
def test_session_authentication_reads_the_session_cookie(
    headers: list[tuple[bytes, bytes]], is_anonymous: bool
) -> None:
    classes = [
        "native_api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
    with override_settings(NATIVE_API={"DEFAULT_AUTHENTICATION_CLASSES": classes}):
        assert (
            Caller(
                {"headers": headers}, resolve("/native/v1/chat/completions"), lambda: None
            ).is_anonymous
            == is_anonymous
        )


@pytest.mark.parametrize("path", ["/native/health/live", "/native/nowhere"])
def test_open_views_need_no_credentials(path: str) -> None:
    assert not Caller({"headers": []}, resolve(path), lambda: None).is_anonymous
