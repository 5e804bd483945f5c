"""The setting HOOKS over HTTP: on the servers, on the way that a same-wire call takes, and as
docs/extending.md says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import AsyncClient, Client, override_settings

from native_api import background
from native_api.access import keys
from native_api.exceptions import InvalidRequest
from native_api.hooks import Call, CallHooks
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from tests.front.conftest import Serve, native_api
from tests.scripted_provider import DONE, Upstream, completion, event, says, streams
from tests.servers import Site

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "extending.md"
SECRET = "a-value-that-nobody-may-see"
HOOKS = ["tests.gateway.site_hooks.Shouting", "tests.gateway.site_hooks.Guarding"]


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "echo/any", "messages": [{"role": "user", "content": text}], **fields}


# --- on the servers ------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def hooked(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    settings = native_api(upstream, HOOKS=HOOKS)
    with serve(request.param, settings) as running:
        yield running


def post(site: Site, body: dict[str, Any], request_id: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        json=body,
        headers={**site.headers, "x-request-id": request_id},
        trust_env=False,
        timeout=60,
    )


def events_of(response: Any) -> list[Any]:
    """The data of a stream's events, without its end."""
    text = response if isinstance(response, str) else response.text
    return [
        json.loads(line.removeprefix("data: "))
        for line in text.splitlines()
        if line.startswith("data: {")
    ]


def text_of(events: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event["choices"]
    )


def test_a_complete_call(hooked: Site) -> None:
    response = post(hooked, chat("be quiet"), "complete")
    assert response.json()["choices"][0]["message"]["content"] == "BE LOUD"
    [record] = hooked.wait_for_usage(request_id="complete")
    assert (record["status"], json.loads(record["metadata"])) == ("ok", {"team": "search"})


def test_a_stream(hooked: Site) -> None:
    response = post(hooked, chat("be quiet please", stream=True), "stream")
    assert text_of(events_of(response)) == "BE LOUD PLEASE"
    assert response.text.endswith("data: [DONE]\n\n")
    [record] = hooked.wait_for_usage(request_id="stream")
    assert (record["status"], json.loads(record["metadata"])) == ("ok", {"team": "search"})


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_refusal(hooked: Site, is_stream: bool) -> None:
    name = f"refusal-{is_stream}"
    response = post(hooked, chat("a forbidden word", stream=is_stream), name)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "forbidden_word")
    [record] = hooked.wait_for_usage(request_id=name)
    assert (record["status"], record["error_code"]) == ("refused", "forbidden_word")
    assert json.loads(record["metadata"]) == {"team": "search", "failed": "True"}


def test_a_failure_of_a_hook_is_nobodys_business(hooked: Site) -> None:
    response = post(hooked, chat("crash"), "crash")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert SECRET not in response.text
    [line] = [
        line
        for line in hooked.log_lines()
        if line.get("request_id") == "crash" and "hook" in line["message"]
    ]
    assert line["message"] == "The hook tests.gateway.site_hooks.Guarding.before_call failed."


def test_an_error_in_mid_stream_is_replaced(hooked: Site, upstream: Upstream) -> None:
    gate = upstream.gate()
    script = streams(event({"content": "Hel"}), gate, event(error={"message": "no"}))
    upstream.script("breaks", script)
    with httpx.stream(
        "POST",
        f"{hooked.url}/v1/chat/completions",
        json=chat("teapot", model="up/breaks", stream=True),
        headers={**hooked.headers, "x-request-id": "mid-stream"},
        trust_env=False,
        timeout=60,
    ) as response:
        lines = response.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        gate.open()
        rest = "\n".join(lines)
    assert text_of(events_of(first)) == "HEL"
    assert events_of(rest)[-1]["error"]["code"] == "teapot"
    [record] = hooked.wait_for_usage(request_id="mid-stream")
    assert (record["status"], record["error_code"]) == ("upstream_error", "provider_error")


# --- the same wire in and out --------------------------------------------------------------------


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UsageEntry]]:
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    monkeypatch.setattr(recorder, "note_key_use", lambda key_id: None)
    yield handed
    background.run(background.close_streams())


@pytest.fixture
def alice(transactional_db: None) -> User:
    alice = User.objects.create(username="alice")
    alice.groups.add(Group.objects.create(name="support"))
    return alice


@pytest.fixture
def key(alice: User) -> str:
    return keys.create_key(alice, "laptop")[1]


def send(server: str, key: str, body: dict[str, Any], hooks: list[Any], **settings: Any) -> Any:
    """The response of a site with these hooks, before a WSGI or an ASGI server."""
    options: dict[str, Any] = {
        "content_type": "application/json",
        "headers": {"authorization": f"Bearer {key}"},
    }
    address = "/native/v1/chat/completions"
    with override_settings(NATIVE_API={"PROVIDERS": {"echo": {}}, "HOOKS": hooks, **settings}):
        if server == "wsgi":
            response = Client().post(address, body, **options)
            return response, response.getvalue().decode()

        async def run() -> Any:
            response = await AsyncClient().post(address, body, **options)
            if not response.streaming:
                return response, response.content.decode()
            pieces = [piece async for piece in response.streaming_content]
            return response, b"".join(pieces).decode()

        return asyncio.run(run())


class SameWire(CallHooks):
    """Hides a word from the provider and an answer from the client."""

    async def before_call(self, call: Call) -> None:
        call.body["messages"][0]["content"] = f"hidden by {call.wire}"

    async def on_chunk(self, call: Call, chunk: dict[str, Any]) -> dict[str, Any] | None:
        if chunk["choices"] and chunk["choices"][0]["delta"].get("content") == "secret ":
            return {
                **chunk,
                "choices": [{"index": 0, "delta": {"content": "***"}, "finish_reason": None}],
            }
        return None


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_clients_own_body_passes_through_hooks_and_events_that_they_leave_stay_as_they_are(
    server: str, key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    odd = event({"content": "a word "}).replace(b'": ', b'"  : ')
    upstream.script(
        "same-wire",
        streams(
            event({"role": "assistant", "content": "so: "}),
            odd,
            event({"content": "secret "}),
            event({}, "stop"),
            DONE,
        ),
    )
    body = chat("secret", model="up/same-wire", stream=True)
    up = {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "k"}
    response, text = send(server, key, body, [SameWire], PROVIDERS={"up": up})
    assert response.status_code == 200
    received = upstream.requests_for("same-wire")[-1].body
    assert received["messages"][0]["content"] == "hidden by openai_chat"
    assert text_of(events_of(text)) == "so: a word ***"
    assert odd.decode() in text
    assert '"usage":null' not in text.replace(" ", "")


class Refusing(CallHooks):
    async def on_chunk(self, call: Call, chunk: dict[str, Any]) -> None:
        if "secret" in text_of([chunk]):
            raise InvalidRequest("Enough.", code="enough")


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_refusal_in_mid_stream_is_its_last_event_after_what_was_let_through(
    server: str, key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    words = [event({"content": f"{word} "}) for word in ("one", "two", "secret", "three")]
    upstream.script("refused", streams(b"".join(words), event({}, "stop"), DONE))
    body = chat("Hi", model="up/refused", stream=True)
    up = {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "k"}
    _, text = send(server, key, body, [Refusing], PROVIDERS={"up": up})
    *sent, last = events_of(text)
    assert (text_of(sent), last["error"]["code"]) == ("one two ", "enough")
    assert "[DONE]" not in text


class Vendor(CallHooks):
    """Adds a field that the gateway does not know, and uses a null of the client's."""

    async def before_call(self, call: Call) -> None:
        call.body["vendor_field"] = {"seen": [call.body["temperature"]]}


class Careless(CallHooks):
    async def before_call(self, call: Call) -> None:
        call.body["temperature"] = "hot"


class Watching(CallHooks):
    async def before_call(self, call: Call) -> None:
        call.metadata["seen"] = "yes"


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (Watching, {"temperature": None}),
        (Vendor, {"temperature": None, "vendor_field": {"seen": [None]}}),
    ],
)
def test_a_providers_own_wire_gets_what_the_client_and_the_hooks_wrote(
    hook: Any, expected: Any, key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    up = {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "k"}
    body = chat("Hi", model="up/written", temperature=None)
    response, _ = send("asgi", key, body, [hook], PROVIDERS={"up": up})
    assert response.status_code == 200
    received = upstream.requests_for("written")[-1].body
    assert {name: received[name] for name in expected} == expected


def test_what_a_hook_wrote_is_translated_for_another_wire(
    key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    claude = {"DIALECT": "anthropic", "BASE_URL": upstream.url, "API_KEY": "k"}
    body = chat("Hi", model="claude/translated", temperature=None)
    send("asgi", key, body, [SameWire, Vendor], PROVIDERS={"claude": claude})
    received = upstream.requests_for("translated")[-1].body
    assert received["messages"][0]["content"] == [{"type": "text", "text": "hidden by openai_chat"}]
    assert not received.keys() & {"temperature", "vendor_field"}


def test_a_field_that_a_hook_wrote_wrong_is_named(
    key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    response, _ = send("asgi", key, chat("Hi"), [Careless])
    assert (response.status_code, response.json()["error"]["param"]) == (400, "temperature")
    assert [record.status for record in records] == ["refused"]


# --- docs/extending.md ---------------------------------------------------------------------------


def hooks_of_the_page() -> list[Any]:
    section = PAGE.read_text().partition("## Hooks")[2]
    code, settings = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[:2]
    names: dict[str, Any] = {"__name__": "mysite.hooks"}
    exec(code, names)
    exec(settings, names)
    return [names[path.rpartition(".")[2]] for path in names["NATIVE_API"]["HOOKS"]]


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_the_hooks_of_the_page(
    server: str, key: str, upstream: Upstream, records: list[UsageEntry]
) -> None:
    hooks = hooks_of_the_page()
    up = {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "k"}
    response, _ = send(server, key, chat("Mail bob@example.com"), hooks)
    assert response.json()["choices"][0]["message"]["content"] == "Mail [address]"
    refused, _ = send(server, key, chat("What is Bluebird?"), hooks)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "confidential")
    upstream.script("talkative", says(completion("Bluebird flies")))
    body = chat("What flies?", model="up/talkative")
    withheld, _ = send(server, key, body, hooks, PROVIDERS={"up": up})
    assert (withheld.status_code, withheld.json()["error"]["code"]) == (400, "confidential")
    assert records[-1].completion_tokens > 0
    assert [(record.status, record.metadata) for record in records] == [
        ("ok", {"team": "support"}),
        ("refused", {"team": "support", "error": "InvalidRequest"}),
        ("refused", {"team": "support", "error": "InvalidRequest"}),
    ]
