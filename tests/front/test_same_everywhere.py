"""An answer does not depend on the server, nor on DEBUG: the same requests, compared with those of
the reference site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.front.conftest import OTHER_KINDS, Serve
from tests.servers import Site

CHAT = b'{"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}'
NO_MODEL = b'{"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}'
DEEP = b'{"model": "hello", "messages": ' + b"[" * 200 + b"]" * 200 + b"}"
JSON = {"content-type": "application/json"}
POST = ("POST", "/v1/chat/completions")
MESSAGE, RESPONSE = ("POST", "/v1/messages"), ("POST", "/v1/responses")
CLAUDE = {**JSON, "anthropic-version": "2023-06-01", "x-request-id": "the-same"}
"""The id of the request is part of Anthropic's errors."""
INPUT = b'{"model": "hello", "input": "Hi"}'
MADE_HERE = re.compile(rb'"(?:id|created_at|completed_at)":(?:"[^"]*"|[0-9.]+)')
"""What every reply has of its own."""
OTHERS = {"uvicorn-django": "0", "gunicorn": "1", "gunicorn-sync": "0", "runserver": "1"}
"""Kinds of servers, and whether they run with DEBUG. The reference is uvicorn with the gateway's
application and DEBUG."""


@pytest.fixture(scope="module", params=[*OTHERS, *OTHER_KINDS])
def other(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    more = {"DEBUG": OTHERS.get(request.param, "0")}
    with serve(request.param, **more) as running:
        yield running


def ask(
    site: Site, method: str, path: str, headers: dict[str, str], body: Any, with_key: bool
) -> httpx.Response:
    with httpx.Client(
        headers=site.headers if with_key else {}, trust_env=False, timeout=60
    ) as client:
        return client.request(
            method, f"{site.url}{path}", headers=headers, content=body() if callable(body) else body
        )


def chunked(*pieces: bytes) -> Any:
    """A body without a Content-Length."""
    return lambda: iter(pieces)


REQUESTS: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "a call": (*POST, JSON, CHAT),
    "models": ("GET", "/v1/models", {}, None),
    "one model": ("GET", "/v1/models/hello", {}, None),
    "no such model": ("GET", "/v1/models/nobody", {}, None),
    "head": ("HEAD", "/v1/models", {}, None),
    "options": ("OPTIONS", "/v1/chat/completions", {}, None),
    "trace": ("TRACE", "/v1/models", {}, None),
    "wrong method": ("DELETE", "/v1/chat/completions", {}, None),
    "unknown path": ("GET", "/v1/nothing", {}, None),
    "unknown path, options": ("OPTIONS", "/v1/nothing", {}, None),
    "unknown path, odd method": ("PROPFIND", "/v1/nothing", {}, None),
    "unknown path, as a page": ("GET", "/v1/nothing", {"accept": "text/html"}, None),
    "path with a line break": ("GET", "/v1/%0Anothing", {}, None),
    "path beyond ASCII": ("GET", "/v1/%C3%A9", {}, None),
    "no slash too many": ("POST", "/v1/chat/completions/", JSON, CHAT),
    "not acceptable": (*POST, {**JSON, "accept": "image/png"}, CHAT),
    "wrong type": (*POST, {"content-type": "text/plain"}, CHAT),
    "wrong charset": (*POST, {"content-type": "application/json; charset=latin-1"}, CHAT),
    "empty": (*POST, JSON, b""),
    "not JSON": (*POST, JSON, b"{"),
    "not UTF-8": (*POST, JSON, b'{"model": "\xff"}'),
    "too deep": (*POST, JSON, DEEP),
    "a key twice": (*POST, JSON, b'{"model": "a", "model": "b"}'),
    "no such model to call": (*POST, JSON, NO_MODEL),
    "too large": (*POST, JSON, b" " * 2_000_001),
    "alive": ("GET", "/health/live", {}, None),
    "the prefix": ("HEAD", "/", {}, None),
    "the prefix with a version": ("HEAD", "/v1", {}, None),
    "the prefix, read": ("GET", "/v1/", {}, None),
    "a message": (*MESSAGE, CLAUDE, CHAT[:-1] + b', "max_tokens": 9}'),
    "a message without a limit": (*MESSAGE, CLAUDE, CHAT),
    "a message to nobody": (*MESSAGE, CLAUDE, NO_MODEL[:-1] + b', "max_tokens": 9}'),
    "a message, not JSON": (*MESSAGE, CLAUDE, b"{"),
    "a message, wrong type": (*MESSAGE, {**CLAUDE, "content-type": "text/plain"}, CHAT),
    "a message, not acceptable": (*MESSAGE, {**CLAUDE, "accept": "image/png"}, CHAT),
    "a message, too large": (*MESSAGE, CLAUDE, b" " * 2_000_001),
    "a message, wrong method": ("GET", "/v1/messages", CLAUDE, None),
    "a path below messages": ("POST", "/v1/messages/batches", CLAUDE, b"{}"),
    "a wrong path of Anthropic's client": ("POST", "/v1/v1/messages", CLAUDE, CHAT),
    "a count": ("POST", "/v1/messages/count_tokens", CLAUDE, CHAT),
    "models for Anthropic's client": ("GET", "/v1/models?limit=2", CLAUDE, None),
    "no such model for Anthropic's client": ("GET", "/v1/models/nobody", CLAUDE, None),
    "a response": (*RESPONSE, JSON, INPUT),
    "a response, not JSON": (*RESPONSE, JSON, b"{"),
    "a response to nobody": (*RESPONSE, JSON, INPUT.replace(b"hello", b"nobody")),
    "a response, too large": (*RESPONSE, JSON, b" " * 2_000_001),
    "a response, wrong method": ("PUT", "/v1/responses", JSON, INPUT),
    "input tokens": ("POST", "/v1/responses/input_tokens", JSON, INPUT),
}
WITHOUT_KEY = {
    "models", "a call", "unknown path", "wrong method", "the prefix", "a message", "a response",
    "a count", "a path below messages", "models for Anthropic's client", "a message, wrong method",
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_with_a_key(asgi_site: Site, other: Site, name: str) -> None:
    compare(asgi_site, other, name, with_key=True)


@pytest.mark.parametrize("name", sorted(WITHOUT_KEY))
def test_without_a_key(asgi_site: Site, other: Site, name: str) -> None:
    compare(asgi_site, other, name, with_key=False)


def compare(asgi_site: Site, other: Site, name: str, with_key: bool) -> None:
    expected, answer = (ask(site, *REQUESTS[name], with_key) for site in (asgi_site, other))
    assert answer.status_code == expected.status_code
    assert MADE_HERE.sub(b"", answer.content) == MADE_HERE.sub(b"", expected.content)
    for header in (
        "content-type",
        "allow",
        "www-authenticate",
        "x-native-model",
        "x-native-attempts",
        "x-content-type-options",
        "request-id",
    ):
        assert answer.headers.get(header) == expected.headers.get(header), header
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400 and answer.content:
        is_claude = "anthropic-version" in REQUESTS[name][2]
        members = {"message", "type"} if is_claude else {"message", "type", "code", "param"}
        assert answer.json()["error"].keys() - {"details"} == members


@pytest.mark.parametrize("other", ["uvicorn-django", "gunicorn"], indirect=True)
def test_a_body_in_chunks_is_read_whole(other: Site) -> None:
    answer = ask(other, *POST, JSON, chunked(CHAT[:20], CHAT[20:]), with_key=True)
    assert answer.status_code == 200
    too_large = ask(other, *POST, JSON, chunked(*[b" " * 100_000] * 21), with_key=True)
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("other", ["runserver"], indirect=True)
def test_a_server_that_cannot_read_chunks_says_so(other: Site) -> None:
    answer = ask(other, *POST, JSON, chunked(CHAT), with_key=True)
    assert (answer.status_code, "needs a Content-Length" in answer.json()["error"]["message"]) == (
        400,
        True,
    )
