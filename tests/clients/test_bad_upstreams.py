"""Providers of every wire that fail or answer oddly, over HTTP: the client receives an error in the
gateway's envelope or a whole reply, and there is one record."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpx
import pytest

from tests.clients.conftest import WIRE_NAMES, Gateway
from tests.clients.model import THANKS, generate
from tests.clients.wires import WIRES
from tests.clients.wires.base import RequestRefused
from tests.scripted_provider import Exchange, Script, says

FIRST = [(name, WIRES[name].models[0]) for name in WIRE_NAMES]
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
        timeout=60,
        trust_env=False,
    )


def wait_for_record(gateway: Gateway, response: httpx.Response) -> Any:
    [record] = gateway.site.wait_for_usage(request_id=response.headers["x-request-id"])
    return record


def read_chunks(response: httpx.Response) -> list[Any]:
    lines = [
        line.removeprefix("data: ")
        for line in response.text.splitlines()
        if line.startswith("data: ")
    ]
    assert lines[-1] == "[DONE]", response.text
    return [json.loads(line) for line in lines[:-1]]


def read_text(response: httpx.Response, stream: bool) -> str:
    if not stream:
        return str(response.json()["choices"][0]["message"]["content"])
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in read_chunks(response)
        for choice in chunk["choices"]
    )


def answer_with(
    gateway: Gateway,
    change: Callable[[Any], Any],
    cut: Callable[[list[bytes]], Iterable[bytes]] = list,
) -> Script:
    """The wire's own reply, with its JSON changed by `change` and the events of a stream by
    `cut`."""
    wire = gateway.upstream.wire

    async def script(exchange: Exchange) -> None:
        model_input = wire.parse_request(exchange.received)
        output = generate(model_input)
        if not model_input.stream:
            await exchange.json(change(wire.build_reply(model_input, output)))
            return
        await exchange.head(200, {"content-type": wire.media_type, "transfer-encoding": "chunked"})
        for event in cut(
            [wire.change_event(event, change) for event in wire.build_stream(model_input, output)]
        ):
            await exchange.piece(event)
        await exchange.end()

    return script


def without_members(names: Collection[str]) -> Callable[[Any], Any]:
    """Returns a function that removes these members from a value, at any depth."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(item) for name, item in value.items() if name not in names}
        return [change(item) for item in value] if isinstance(value, list) else value

    return change


def add_unknown_members(value: Any) -> Any:
    """The value with an unknown member in every object."""
    if isinstance(value, dict):
        return {
            **{name: add_unknown_members(item) for name, item in value.items()},
            "brand_new": {"deeply": ["new"]},
        }
    return [add_unknown_members(item) for item in value] if isinstance(value, list) else value


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
def test_a_reply_that_is_not_an_answer_is_an_error(
    gateway: Gateway,
    status: int,
    body: bytes,
    headers: Any,
    expected: tuple[int, str],
    stream: bool,
) -> None:
    gateway.upstream.script = says(body, status, headers)
    response = ask(gateway, stream)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == expected
    assert error["provider"] == gateway.provider
    assert "10.0.0.1" not in response.text
    assert wait_for_record(gateway, response)["error_code"] == expected[1]


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_an_error_with_status_200_is_an_error(gateway: Gateway, stream: bool) -> None:
    gateway.upstream.script = says(
        gateway.upstream.wire.build_error(RequestRefused("out of memory"))
    )
    response = ask(gateway, stream)
    assert response.status_code >= 400, response.text
    assert wait_for_record(gateway, response)["status"] == "upstream_error"


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_missing_usage_is_estimated(gateway: Gateway, stream: bool) -> None:
    gateway.upstream.script = answer_with(
        gateway, without_members(gateway.upstream.wire.usage_fields)
    )
    response = ask(gateway, stream)
    assert read_text(response, stream) == "What for?"
    record = wait_for_record(gateway, response)
    assert (record["status"], record["estimated"]) == ("ok", 1)
    assert record["completion_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_a_missing_id_model_and_time_are_filled_in(gateway: Gateway, stream: bool) -> None:
    names = {*gateway.upstream.wire.id_fields, "created", "created_at", "model", "modelVersion"}
    gateway.upstream.script = answer_with(gateway, without_members(names))
    response = ask(gateway, stream)
    items = read_chunks(response) if stream else [response.json()]
    [head] = {(item["id"], item["model"], item["created"]) for item in items}
    assert all(head), head
    assert read_text(response, stream) == "What for?"


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_unknown_members_and_events_change_nothing(gateway: Gateway, stream: bool) -> None:
    wire = gateway.upstream.wire
    gateway.upstream.script = answer_with(
        gateway,
        add_unknown_members,
        lambda events: [part for event in events for part in (wire.build_unknown_event(), event)],
    )
    assert read_text(ask(gateway, stream), stream) == "What for?"


def test_a_stream_that_ends_too_soon_is_an_error(gateway: Gateway) -> None:
    gateway.upstream.script = answer_with(
        gateway, lambda value: value, lambda events: events[: len(events) // 2 + 1]
    )
    response = ask(gateway, stream=True)
    assert "[DONE]" not in response.text
    assert '"error"' in response.text
    assert wait_for_record(gateway, response)["status"] == "upstream_error"
