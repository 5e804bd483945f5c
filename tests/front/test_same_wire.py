"""A client of OpenAI and a provider that speaks OpenAI's wire: what the one writes and the other
sends passes through the gateway unchanged, on every kind of server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.scripted_provider import DONE, Upstream, streams
from tests.servers import Site

HEAD = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1759436804,"model":"gpt-x"'
TIER = '"service_tier":"default","system_fingerprint":null'
USAGE = (
    '"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,'
    '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}}'
)


def build_event(delta: str, reason: str = "null", rest: str = ',"usage":null') -> str:
    choice = f'{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{reason}}}'
    return f'data: {{{HEAD},{TIER},"choices":[{choice}]{rest}}}\n\n'


EVENTS = [
    build_event('"role":"assistant","content":"","refusal":null'),
    build_event('"content":"Hel"'),
    build_event('"content":"lo,\\n"', rest=',"usage":null,"obfuscation":"x9"'),
    build_event('"content":"\\u00e9 \U0001f914 \\"q\\""', rest=',"usage":null,"obfuscation":"a"'),
    build_event('"content":"!"', rest=',"weather":"fine","usage":null'),
    build_event("", '"stop"'),
    f'data: {{{HEAD},{TIER},"choices":[],{USAGE}}}\n\n',
]
BODY: dict[str, Any] = {
    "model": "up/verbatim",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "assistant", "content": "Hello.", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "And?"}]},
    ],
    "temperature": 0,
    "stop": None,
    "user": "u-1",
}
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1759436804,
    "model": "gpt-x",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi.", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    "service_tier": "default",
    "system_fingerprint": None,
    "weather": {"sky": ["blue"]},
}


@pytest.fixture
def client(site: Site) -> Any:
    with httpx.Client(
        base_url=site.url, headers=site.headers, timeout=60, trust_env=False
    ) as client:
        yield client


def post(client: httpx.Client, **fields: Any) -> httpx.Response:
    response = client.post("/v1/chat/completions", json={**BODY, **fields})
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize("pieces", [1, 3, len(EVENTS)])
def test_events_pass_byte_for_byte(client: httpx.Client, upstream: Upstream, pieces: int) -> None:
    size = -(-len(EVENTS) // pieces)
    texts = ["".join(EVENTS[start : start + size]) for start in range(0, len(EVENTS), size)]
    upstream.script("verbatim", streams(*(text.encode() for text in texts), DONE))
    response = post(client, stream=True, stream_options={"include_usage": True})
    assert response.text == "".join(EVENTS) + DONE.decode()


def test_a_client_that_does_not_ask_for_usage_gets_none(
    client: httpx.Client, upstream: Upstream
) -> None:
    upstream.script("verbatim", streams(*(event.encode() for event in EVENTS), DONE))
    response = post(client, stream=True)
    assert response.text == "".join(EVENTS[:-1]).replace(',"usage":null', "") + DONE.decode()


def test_a_body_passes_but_for_what_the_gateway_owns(
    client: httpx.Client, upstream: Upstream
) -> None:
    upstream.script("verbatim", streams(*(event.encode() for event in EVENTS), DONE))
    post(client, stream=True, conversation_id="c-1")
    assert upstream.requests_for("verbatim")[-1].body == {
        **BODY,
        "model": "verbatim",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_complete_reply_passes(client: httpx.Client, upstream: Upstream) -> None:
    async def reply(exchange: Any) -> None:
        await exchange.json(REPLY)

    upstream.script("verbatim", reply)
    assert post(client).json() == json.loads(json.dumps(REPLY))
    assert upstream.requests_for("verbatim")[-1].body == {**BODY, "model": "verbatim"}
