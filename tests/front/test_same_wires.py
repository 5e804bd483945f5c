"""Responses and Messages through a real server to providers that speak them: what the client wrote
and what the provider sent go on as they are, and are recorded all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from native_api.types import Event
from tests.aws_eventstream_writer import event as amazon_event
from tests.aws_eventstream_writer import exception, wrap_event
from tests.aws_signature import signature_of
from tests.dialects.wire_streams import (
    CREATED,
    ENDED,
    STARTED,
    STOPPED,
    add,
    build_message,
    build_response,
    complete,
    make_event,
    say,
    start,
    stop,
)
from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream, says, streams
from tests.servers import Site

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BINARY = "application/vnd.amazon.eventstream"
CLAUDE = "us.anthropic.claude-sonnet-4-6-v1:0"
TURN: dict[str, Any] = {"role": "user", "content": "Hi"}


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    settings = native_api(upstream)
    settings["PROVIDERS"]["bedrock"] = {
        "PRESET": "bedrock",
        "BASE_URL": upstream.url.removesuffix("/v1"),
        "OPTIONS": {"region": "us-east-1"},
        "API_KEY": f"AKIDEXAMPLE:{SECRET}",
    }
    settings["PROVIDERS"]["invoke"] = {
        **settings["PROVIDERS"]["bedrock"],
        "DIALECT": "anthropic_bedrock",
    }
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    headers = {
        **site.headers,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "effort-2025-11-24",
    }
    with httpx.Client(
        base_url=f"{site.url}/v1/", headers=headers, timeout=60, trust_env=False
    ) as client:
        yield client


def sse(event: Event) -> bytes:
    return f"event: {event.type}\ndata: {event.data}\n\n".encode()


def amazon(event: Event) -> bytes:
    return amazon_event("chunk", wrap_event(json.loads(event.data)))


TEXTS = [add(1, "text", text=word) for word in ("Hel", "lo", " you", "!")]
MESSAGE = [
    STARTED, start(0, type="thinking", thinking="", signature=""), add(0, "thinking", thinking="hm"),
    add(0, "signature", signature="c2ln"), stop(0), start(1, type="text", text=""), *TEXTS, stop(1),
    make_event(type="of_tomorrow", mood=3), ENDED, STOPPED,
]  # fmt: skip
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
RESPONSE = [
    CREATED,
    make_event(type="response.output_item.done", output_index=0, item=REASONING),
    *(say(word, output_index=1) for word in ("Hel", "lo", " you", "!")),
    make_event(type="response.mood.changed", mood=3),
    complete(REASONING, build_message("Hello you!")),
]
WIRES: dict[str, tuple[str, str, list[Event]]] = {
    "responses": ("responses/same-wire", "responses", RESPONSE),
    "messages": ("claude/same-wire", "messages", MESSAGE),
    "bedrock": (f"bedrock/{CLAUDE}", "messages", MESSAGE),
}
"""Name -> the model, the path, and the events that the provider sends."""


def ask(path: str, *items: Any, **fields: Any) -> dict[str, Any]:
    if path == "responses":
        return {"input": [TURN, *items], "weather": "fine", **fields}
    return {"messages": [TURN, *items], "max_tokens": 50, "weather": "fine", **fields}


def script_stream(upstream: Upstream, wire: str, events: Any = None) -> None:
    model = WIRES[wire][0].partition("/")[2]
    write = amazon if wire == "bedrock" else sse
    media_type = BINARY if wire == "bedrock" else "text/event-stream"
    pieces = [write(event) for event in events or WIRES[wire][2]]
    upstream.script(model, streams(*pieces, content_type=media_type))


def read_events(text: str) -> list[Event]:
    """The events without the gateway's own pings, which come if the machine is slow."""
    blocks = [block.strip().split("\n") for block in text.split("\n\n") if "event: " in block]
    return [
        Event(name.removeprefix("event: "), data.removeprefix("data: "))
        for name, data in blocks
        if name.startswith("event: ") and name != "event: ping"
    ]


@pytest.mark.parametrize("wire", WIRES)
def test_events_come_as_they_were_sent_but_for_what_is_sealed(
    http: httpx.Client, site: Site, upstream: Upstream, wire: str
) -> None:
    model, path, events = WIRES[wire]
    script_stream(upstream, wire)
    answer = http.post(path, json=ask(path, model=model, stream=True))
    read = read_events(answer.text)
    for sent, event in zip(events, read, strict=True):
        if "nseal1." in event.data:
            assert '"signature"' in sent.data or "encrypted_content" in sent.data
        elif '"response":' in sent.data or sent is STARTED:
            assert event.type == sent.type  # It says the model asked for, and what is kept.
        else:
            assert event == sent
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    counts = (record["prompt_tokens"], record["completion_tokens"], record["estimated"])
    assert counts == (3, 5, 0)
    assert (record["status"], record["finish_reason"]) == ("ok", "stop")


@pytest.mark.parametrize("wire", WIRES)
def test_what_is_sealed_goes_back_to_its_issuer_and_to_no_other(
    http: httpx.Client, upstream: Upstream, wire: str
) -> None:
    model, path, _ = WIRES[wire]
    script_stream(upstream, wire)
    read = read_events(http.post(path, json=ask(path, model=model, stream=True)).text)
    if path == "responses":
        [item] = [json.loads(each.data)["item"] for each in read if each.type.endswith("item.done")]
        items = [item, build_message("Hello you!")]
    else:
        [delta] = [json.loads(each.data) for each in read if "signature_delta" in each.data]
        thinking = {"type": "thinking", "thinking": "hm", "signature": delta["delta"]["signature"]}
        items = [{"role": "assistant", "content": [thinking, {"type": "text", "text": "Hello"}]}]
    assert http.post(path, json=ask(path, *items, TURN, model=model, stream=True)).is_success
    received = upstream.requests_for(model.partition("/")[2])[-1].body
    assert ("c2ln" in str(received)) == (path == "messages")
    assert ("c2VjcmV0" in str(received)) == (path == "responses")
    assert "issued_by" not in str(received)
    assert received["weather"] == "fine"

    other = {"bedrock": "claude/elsewhere", "messages": "bedrock/anthropic.claude-elsewhere"}
    target = other.get(wire, "up/elsewhere")
    http.post(path, json=ask(path, *items, TURN, model=target))
    elsewhere = str(upstream.requests_for(target.partition("/")[2])[-1].body)
    assert "c2ln" not in elsewhere
    assert "c2VjcmV0" not in elsewhere


def test_claude_on_bedrock_is_called_by_invoke_and_signed(
    http: httpx.Client, upstream: Upstream
) -> None:
    message = {"type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
               "content": [{"type": "text", "text": "Hello"}], "usage": {"input_tokens": 3}}  # fmt: skip
    model = "eu.anthropic.claude-sonnet-4-6-v1:0"
    upstream.script(model, says(message))
    answer = http.post("messages", json=ask("messages", model=f"bedrock/{model}"))
    assert answer.json() == {**message, "model": f"bedrock/{model}"}
    received = upstream.requests_for(model)[-1]
    assert received.path.endswith("/invoke")
    assert received.body == {
        "messages": [TURN],
        "max_tokens": 50,
        "weather": "fine",
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["effort-2025-11-24"],
    }
    signature = signature_of(received, SECRET, "us-east-1", "bedrock")
    assert signature in received.headers["authorization"]


def test_other_clients_reach_it_so_if_the_provider_says_so(
    http: httpx.Client, upstream: Upstream
) -> None:
    script_stream(upstream, "bedrock")
    body = {"model": f"invoke/{CLAUDE}", "messages": [TURN], "stream": True}
    answer = http.post("chat/completions", json=body)
    chunks = [json.loads(line[6:]) for line in answer.text.split("\n") if line[:7] == "data: {"]
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(texts) == "Hello you!"
    received = upstream.requests_for(CLAUDE)[-1]
    assert received.path.endswith("/invoke-with-response-stream")
    assert received.body["anthropic_version"] == "bedrock-2023-05-31"


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_breaks_off_is_counted_with_all_its_text(
    http: httpx.Client, site: Site, upstream: Upstream, wire: str
) -> None:
    model, path, events = WIRES[wire]
    second = next(event for event in events if '"lo"' in event.data)
    more = second._replace(data=second.data.replace('"lo"', json.dumps("word " * 200)))
    begun = events[: events.index(second)]
    script_stream(upstream, wire, events=[*begun, second, more, more])
    answer = http.post(path, json=ask(path, model=model, stream=True))
    failure = read_events(answer.text)[-1]
    assert failure.type == ("response.failed" if path == "responses" else "error")
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert record["status"] == "upstream_error"
    assert record["completion_tokens"] > 450


def read_failing(
    http: httpx.Client, upstream: Upstream, wire: str, failure: bytes
) -> tuple[str, dict[str, Any]]:
    """The last event of a stream whose provider fails after its first words."""
    model, path, events = WIRES[wire]
    gate = upstream.gate()
    write = amazon if wire == "bedrock" else sse
    media_type = BINARY if wire == "bedrock" else "text/event-stream"
    begun = [write(event) for event in events[: 6 if wire == "responses" else 8]]
    steps = streams(*begun, gate, failure, content_type=media_type)
    upstream.script(model.partition("/")[2], steps)
    body = ask(path, model=model, stream=True)
    with http.stream("POST", path, json=body) as answer:
        lines = answer.iter_lines()
        assert any("Hel" in line for line in lines), "it leaves when it came"
        gate.open()
        rest = "\n".join(lines)
    name, data = read_events(rest)[-1]
    return name, json.loads(data)


def test_an_exception_of_amazons_ends_the_stream_in_the_clients_words(
    http: httpx.Client, upstream: Upstream
) -> None:
    throttled = exception("throttlingException", {"message": "Too many requests"})
    name, failure = read_failing(http, upstream, "bedrock", throttled)
    assert (name, failure["error"]["type"]) == ("error", "rate_limit_error")
    upstream.script(CLAUDE, streams(throttled, content_type=BINARY))
    refused = http.post("messages", json=ask("messages", model=f"bedrock/{CLAUDE}", stream=True))
    assert refused.status_code == 429


def test_a_failure_of_a_response_is_told_in_its_words(
    http: httpx.Client, upstream: Upstream
) -> None:
    error = {"code": "server_error", "message": "It broke."}
    failed = make_event(type="response.failed", response=build_response(error=error))
    name, failure = read_failing(http, upstream, "responses", sse(failed))
    assert name == "response.failed"
    assert "It broke." in failure["response"]["error"]["message"]
