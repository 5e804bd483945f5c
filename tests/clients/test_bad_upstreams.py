"""Upstreams of every wire that answer badly, over HTTP: an error in the one envelope or a whole
answer, and one record."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpx
import pytest

from tests.clients.conftest import SPOKEN, Gateway
from tests.clients.model import THANKS, answer
from tests.clients.wires import WIRES
from tests.clients.wires.base import Refused
from tests.scripted_provider import Exchange, Script, says

FIRST = [(name, WIRES[name].models[0]) for name in SPOKEN]
HTML = {"content-type": "text/html"}

# One model of each wire is enough here.
pytestmark = pytest.mark.parametrize(
    "gateway", FIRST, ids=[name for name, _ in FIRST], indirect=True
)


def ask(gateway: Gateway, stream: bool = False) -> httpx.Response:
    messages = [
        {"role": "user", "content": "Anything?"},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": THANKS},
    ]
    body = {"model": gateway.model, "messages": messages, "stream": stream}
    return httpx.post(
        f"{gateway.base_url}/chat/completions",
        headers=gateway.site.headers,
        json=body,
        timeout=30,
        trust_env=False,
    )


def record_of(gateway: Gateway, response: httpx.Response) -> Any:
    [record] = gateway.site.wait_for_usage(request_id=response.headers["x-request-id"])
    return record


def chunks_of(response: httpx.Response) -> list[Any]:
    lines = [
        line.removeprefix("data: ")
        for line in response.text.splitlines()
        if line.startswith("data: ")
    ]
    assert lines[-1] == "[DONE]", response.text
    return [json.loads(line) for line in lines[:-1]]


def text_of(response: httpx.Response, stream: bool) -> str:
    if not stream:
        return str(response.json()["choices"][0]["message"]["content"])
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks_of(response)
        for choice in chunk["choices"]
    )


def told_by(
    gateway: Gateway,
    change: Callable[[Any], Any],
    cut: Callable[[list[bytes]], Iterable[bytes]] = list,
) -> Script:
    """The wire's own answer, with a change to its JSON and, where it is streamed, to the list of
    its events."""
    wire = gateway.upstream.wire

    async def script(exchange: Exchange) -> None:
        asked = wire.read(exchange.received)
        said = answer(asked)
        if not asked.stream:
            await exchange.json(change(wire.reply(asked, said)))
            return
        await exchange.head(200, {"content-type": wire.media_type, "transfer-encoding": "chunked"})
        for event in cut([wire.changed(event, change) for event in wire.stream(asked, said)]):
            await exchange.piece(event)
        await exchange.end()

    return script


def without(names: Collection[str]) -> Callable[[Any], Any]:
    """The same value without these members, at any depth."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(item) for name, item in value.items() if name not in names}
        return [change(item) for item in value] if isinstance(value, list) else value

    return change


def more(value: Any) -> Any:
    """The same value with a member that nobody knows in every object."""
    if isinstance(value, dict):
        return {
            **{name: more(item) for name, item in value.items()},
            "brand_new": {"deeply": ["new"]},
        }
    return [more(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (500, b"<html>stack trace at http://10.0.0.1/</html>", HTML, (502, "provider_error")),
        (503, b"", {}, (502, "provider_error")),
        (429, b"slow down", {"retry-after": "7"}, (429, "rate_limit_exceeded")),
        (401, b"\xff\xfe", {}, (502, "provider_error")),
        (400, b"null", {}, (400, "invalid_request")),
        (200, b"<html>Welcome</html>", HTML, (502, "provider_error")),
        (200, b"{}", {"content-type": "application/json"}, (502, "provider_error")),
        (200, b"[]", {"content-type": "application/json"}, (502, "provider_error")),
        (200, b"", {}, (502, "provider_error")),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_table(
    gateway: Gateway,
    status: int,
    body: bytes,
    headers: Any,
    expected: tuple[int, str],
    stream: bool,
) -> None:
    gateway.upstream.say = says(body, status, headers)
    response = ask(gateway, stream)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == expected
    assert error["provider"] == gateway.provider
    assert "10.0.0.1" not in response.text
    assert record_of(gateway, response)["error_code"] == expected[1]


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_an_error_that_comes_with_status_200_is_one(gateway: Gateway, stream: bool) -> None:
    gateway.upstream.say = says(gateway.upstream.wire.error(Refused("out of memory")))
    response = ask(gateway, stream)
    assert response.status_code >= 400, response.text
    assert record_of(gateway, response)["status"] == "upstream_error"


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_usage_that_is_not_told_is_estimated(gateway: Gateway, stream: bool) -> None:
    gateway.upstream.say = told_by(gateway, without(gateway.upstream.wire.usage_fields))
    response = ask(gateway, stream)
    assert text_of(response, stream) == "What for?"
    record = record_of(gateway, response)
    assert (record["status"], record["estimated"]) == ("ok", 1)
    assert record["completion_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_a_reply_has_an_id_a_model_and_a_time_though_none_is_told(
    gateway: Gateway, stream: bool
) -> None:
    names = {*gateway.upstream.wire.id_fields, "created", "created_at", "model", "modelVersion"}
    gateway.upstream.say = told_by(gateway, without(names))
    response = ask(gateway, stream)
    told = chunks_of(response) if stream else [response.json()]
    [head] = {(item["id"], item["model"], item["created"]) for item in told}
    assert all(head), head
    assert text_of(response, stream) == "What for?"


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_what_nobody_knows_changes_nothing(gateway: Gateway, stream: bool) -> None:
    wire = gateway.upstream.wire
    gateway.upstream.say = told_by(
        gateway, more, lambda events: [part for event in events for part in (wire.unknown(), event)]
    )
    assert text_of(ask(gateway, stream), stream) == "What for?"


def test_a_stream_that_ends_too_soon_is_no_whole_answer(gateway: Gateway) -> None:
    gateway.upstream.say = told_by(
        gateway, lambda value: value, lambda events: events[: len(events) // 2 + 1]
    )
    response = ask(gateway, stream=True)
    assert "[DONE]" not in response.text
    assert '"error"' in response.text
    assert record_of(gateway, response)["status"] == "upstream_error"
