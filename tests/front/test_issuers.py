"""Signatures on HTTP: a conversation that moves to another provider of the same wire, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Upstream, says, streams
from tests.servers import Site

QUESTION = {"role": "user", "content": "Hi"}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "sig-of-the-first"}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [THINKING, {"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    provider = {"DIALECT": "anthropic", "BASE_URL": upstream.url, "API_KEY": "s", "RETRIES": 0}
    targets = [
        {"PROVIDER": name, "MODEL": f"claude-{name}", "PRIORITY": priority}
        for priority, name in enumerate(("first", "second"))
    ]
    settings = native_api(
        upstream,
        PROVIDERS={"first": provider, "second": provider},
        MODELS={"claude": {"TARGETS": targets}},
    )
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def write_stream() -> bytes:
    events = [
        {"type": "message_start", "message": {**ANSWER, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {**THINKING, "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": THINKING["signature"]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello."}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def read_turn(sdk: openai.OpenAI, model: str, streamed: bool) -> dict[str, Any]:
    request: Any = {"model": model, "messages": [QUESTION]}
    if not streamed:
        return sdk.chat.completions.create(**request).choices[0].message.to_dict()
    with sdk.chat.completions.stream(**request) as stream:
        return stream.get_final_completion().choices[0].message.to_dict()


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
def test_a_fallback_gets_no_signature_and_the_first_provider_gets_it_back(
    sdk: openai.OpenAI, upstream: Upstream, streamed: bool
) -> None:
    upstream.script("claude-first", streams(write_stream()) if streamed else says(ANSWER))
    message = read_turn(sdk, "claude", streamed)
    assert [item["issued_by"] for item in message["reasoning_details"]] == ["first"]
    messages: Any = [QUESTION, message, QUESTION]

    upstream.script("claude-first", says(OVERLOADED, 529))
    upstream.script("claude-second", says(ANSWER))
    reply = sdk.chat.completions.with_raw_response.create(model="claude", messages=messages)
    assert reply.headers["x-native-provider"] == "second"
    assert reply.headers["x-native-omitted"] == "messages.reasoning_details"
    refused, answered = (
        upstream.requests_for(f"claude-{name}")[-1] for name in ("first", "second")
    )
    assert refused.body["messages"][1]["content"] == ANSWER["content"]
    assert answered.body["messages"][1]["content"] == ANSWER["content"][1:]

    upstream.script("claude-first", says(ANSWER))
    sdk.chat.completions.create(model="first/claude-first", messages=messages)
    body = upstream.requests_for("claude-first")[-1].body
    assert body["messages"][1]["content"] == ANSWER["content"]
