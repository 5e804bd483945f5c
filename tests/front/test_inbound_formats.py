"""Another API in front: its envelope, stream events, keep-alive and header names stand in one class,
and the view uses them for every response, whoever refuses the request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from django.test import AsyncClient, override_settings
from django.urls import include, path
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny

from native_api.exceptions import NativeError
from native_api.inbound.base import StreamWriter, to_json
from native_api.inbound.openai import ChatCompletions
from native_api.views import ChatCompletionsView


class Lines(StreamWriter):
    """A stream of lines."""

    def feed(self, chunks: Iterable[Any]) -> bytes:
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        return b"".join(f"+{delta.get('content') or ''}\n".encode() for delta in deltas)

    def ping(self) -> bytes:
        return b"~\n"

    def fail(self, error: NativeError) -> bytes:
        return f"!{error.code}\n".encode()

    def close(self) -> bytes:
        return b".\n"


class LinesFormat(ChatCompletions):
    wire = ""
    """No provider speaks it."""

    def reply(self, parsed: Any, reply: Any) -> bytes:
        return to_json({"says": reply["choices"][0]["message"]["content"]})

    def stream(self, parsed: Any) -> Any:
        return Lines()

    def error(self, error: NativeError, request_id: str) -> bytes:
        return to_json({"oops": error.code})

    def headers(self, headers: dict[str, str], now: datetime) -> dict[str, str]:
        return {name.replace("x-native-", "lines-"): value for name, value in headers.items()}


class Nobody(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        return None


class LinesView(ChatCompletionsView):
    inbound_format = LinesFormat()
    authentication_classes = [Nobody]
    permission_classes = [AllowAny]
    throttle_classes = []


class PrivateLinesView(ChatCompletionsView):
    inbound_format = LinesFormat()


urlpatterns = [
    path("lines", LinesView.as_view()),
    path("private", PrivateLinesView.as_view()),
    path("native/", include("native_api.urls")),
]

CHAT = {"model": "echo/m", "messages": [{"role": "user", "content": "Hello there"}]}


@pytest.fixture(autouse=True)
def _site(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("native_api.usage.recorder.record", lambda entry: None)
    with override_settings(ROOT_URLCONF=__name__, NATIVE_API={"PROVIDERS": {"echo": {}}}):
        yield


def post(path: str, body: Any) -> tuple[Any, bytes]:
    async def call() -> tuple[Any, bytes]:
        response = await AsyncClient().post(path, body, content_type="application/json")
        if not response.streaming:
            return response, response.content
        return response, b"".join([piece async for piece in response.streaming_content])

    return asyncio.run(call())


@pytest.mark.django_db(transaction=True)
def test_a_complete_reply() -> None:
    response, content = post("/lines", CHAT)
    assert json.loads(content) == {"says": "Hello there"}
    assert response.headers["lines-provider"] == "echo"
    assert "x-native-provider" not in response.headers


@pytest.mark.django_db(transaction=True)
def test_a_stream() -> None:
    response, content = post("/lines", {**CHAT, "stream": True})
    assert content.decode().replace("+\n", "") == "+Hello \n+there\n.\n"
    assert response.headers["lines-provider"] == "echo"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/lines", "{", 400, "invalid_request"),
        ("/lines", {**CHAT, "model": "nobody/m"}, 404, "model_not_found"),
        ("/lines", {**CHAT, "stream": True, "model": "nobody/m"}, 404, "model_not_found"),
        ("/private", CHAT, 401, "missing_api_key"),
    ],
)
def test_every_error(path: str, body: Any, status: int, code: str) -> None:
    response, content = post(path, body)
    assert (response.status_code, json.loads(content)) == (status, {"oops": code})
    assert not [name for name in response.headers if name.lower().startswith("x-native-")]
