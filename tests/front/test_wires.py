"""Providers with wires of their own behind a real server: what they are asked, and what the
official SDK makes of what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.front.cohere_and_ollama import (
    COHERE_CALL,
    COHERE_CALLS,
    OLLAMA_CALLS,
    PLAN,
    message,
    ndjson,
    sse,
)
from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Script, Upstream, cuts, says, streams
from tests.servers import Site

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
HI: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
PIXEL = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    root = upstream.url.removesuffix("/v1")
    providers = {
        "cohere": {"BASE_URL": f"{root}/v2", "API_KEY": "co-secret"},
        "ollama": {"BASE_URL": root},
    }
    settings = native_api(
        upstream, PROVIDERS=providers, MODELS={}, REMOTE_FILES={"PRIVATE_NETWORKS": ["127.0.0.0/8"]}
    )
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def test_cohere_is_asked_at_its_own_address_with_its_key(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script(
        "plain",
        says(
            {
                "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
            }
        ),
    )
    answer = sdk.chat.completions.with_raw_response.create(
        model="cohere/plain", messages=HI, top_p=0.5, user="ada"
    )
    received = upstream.requests_for("plain")[-1]
    assert (received.path, received.headers["authorization"]) == ("/v2/chat", "Bearer co-secret")
    assert received.body == {"model": "plain", "stream": False, "messages": HI, "p": 0.5}
    assert answer.headers["x-native-omitted"] == "user"
    assert answer.parse().choices[0].message.content == "Hi"


def test_ollama_is_asked_at_its_own_address_without_a_key(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script(
        "tiny",
        says({"model": "tiny", "message": {"role": "assistant", "content": "Hi"}, "done": True}),
    )
    more = {"provider_options": {"ollama": {"options": {"num_ctx": 16384}, "keep_alive": "1h"}}}
    reply = sdk.chat.completions.create(
        model="ollama/tiny", messages=HI, temperature=0, reasoning_effort="low", extra_body=more
    )
    received = upstream.requests_for("tiny")[-1]
    assert received.path == "/api/chat"
    assert "authorization" not in received.headers
    assert received.body == {
        "model": "tiny", "stream": False, "messages": HI, "think": "low", "keep_alive": "1h",
        "options": {"temperature": 0, "num_ctx": 16384},
    }  # fmt: skip
    assert reply.choices[0].message.content == "Hi"


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize(
    ("provider", "script"),
    [("cohere", COHERE_CALLS), ("ollama", OLLAMA_CALLS)],
    ids=["cohere", "ollama"],
)
def test_a_conversation_with_tools(
    sdk: openai.OpenAI,
    site: Site,
    upstream: Upstream,
    provider: str,
    script: Script,
    streamed: bool,
) -> None:
    model = f"{provider}-{streamed}"
    upstream.script(model, script)
    asked: Any = {"model": f"{provider}/{model}", "messages": HI, "tools": [WEATHER]}
    if streamed:
        with sdk.chat.completions.stream(**asked) as stream:
            said = stream.get_final_completion().choices[0]
    else:
        said = sdk.chat.completions.create(**asked).choices[0]
    assert said.finish_reason == "tool_calls"
    assert said.message.tool_calls
    [call] = said.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather",
        {"city": "Oslo"},
    )  # type: ignore[union-attr]
    spoken = said.message.to_dict()
    assert spoken["reasoning_content"] == PLAN
    kept = {
        name: spoken[name]
        for name in ("role", "reasoning_content", "reasoning_details")
        if name in spoken
    }
    history = {**kept, "content": None, "tool_calls": [call.to_dict()]}
    history["tool_calls"][0]["function"].pop("parsed_arguments", None)  # type: ignore[index]
    sdk.chat.completions.create(
        model=f"{provider}/{model}",
        messages=[*HI, history, {"role": "tool", "tool_call_id": call.id, "content": "rain"}],
    )
    check_second_turn(provider, upstream.requests_for(model)[-1].body["messages"], call.id)
    record = site.wait_for_usage(model=f"{provider}/{model}", stream=streamed)[0]
    assert (record["status"], record["prompt_tokens"], record["completion_tokens"]) == (
        "ok",
        500,
        70,
    )


def check_second_turn(provider: str, turns: list[Any], call_id: str) -> None:
    """The provider gets its own words back, and the result where it belongs."""
    if provider == "cohere":
        assert turns[1] == {"role": "assistant", "tool_plan": PLAN, "tool_calls": [COHERE_CALL]}
        assert turns[2] == {"role": "tool", "tool_call_id": "weather_1", "content": "rain"}
    else:
        call = {
            "id": call_id,
            "type": "function",
            "function": {"index": 0, "name": "weather", "arguments": {"city": "Oslo"}},
        }
        assert turns[1] == {
            "role": "assistant",
            "content": "",
            "thinking": PLAN,
            "tool_calls": [call],
        }
        assert turns[2] == {
            "role": "tool",
            "tool_name": "weather",
            "tool_call_id": call_id,
            "content": "rain",
        }


SOURCE = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "Rain."}}
CITATION = {
    "start": 0,
    "end": 4,
    "text": "Rain",
    "sources": [SOURCE],
    "content_index": 0,
    "type": "TEXT_CONTENT",
}
CITED = {
    "url": "",
    "title": "doc:0",
    "start_index": 0,
    "end_index": 4,
    "text": "Rain",
    "source": SOURCE,
}


def test_citations_pass_a_client_that_checks_every_field(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    content = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Rain."}],
        "citations": [CITATION],
    }
    upstream.script("cited", says({"id": "r", "finish_reason": "COMPLETE", "message": content}))
    reply = sdk.chat.completions.create(model="cohere/cited", messages=HI)
    strict = ChatCompletion.model_validate(reply.to_dict())
    assert strict.choices[0].message.to_dict()["annotations"] == [
        {"type": "url_citation", "url_citation": CITED}
    ]


def test_citations_come_with_the_stream(sdk: openai.OpenAI, upstream: Upstream) -> None:
    events = sse(
        {"type": "message-start", "id": "r"},
        {"type": "content-delta", "index": 0, **message({"content": {"text": "Rain."}})},
        {"type": "citation-start", "index": 0, **message({"citations": CITATION})},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    )
    upstream.script("cited-stream", streams(*events))
    chunks = list(
        sdk.chat.completions.create(model="cohere/cited-stream", messages=HI, stream=True)
    )
    told = [
        item
        for chunk in chunks
        for item in chunk.choices[0].delta.to_dict().get("annotations") or ()
    ]  # type: ignore[attr-defined]
    assert told == [{"type": "url_citation", "url_citation": CITED}]


def test_ollama_gets_a_remote_image_inline(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("", says(PIXEL, headers={"content-type": "image/png"}))
    upstream.script(
        "sees",
        says(
            {"model": "sees", "message": {"role": "assistant", "content": "A dot."}, "done": True}
        ),
    )
    image = {"type": "image_url", "image_url": {"url": f"{upstream.url}/dot.png"}}
    sdk.chat.completions.create(
        model="ollama/sees",
        messages=[{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}],
    )  # type: ignore[list-item,misc]
    del upstream.scripts[""]
    assert upstream.requests_for("sees")[-1].body["messages"] == [
        {"role": "user", "content": "What?", "images": ["iVBORw0KGgo="]}
    ]


def test_what_a_wire_cannot_say_is_a_400_that_names_it(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(
            model="ollama/any", messages=HI, tools=[WEATHER], tool_choice="required"
        )
    assert (caught.value.code, caught.value.param) == ("unsupported_field", "tool_choice")


@pytest.mark.parametrize(
    ("provider", "status", "body", "expected"),
    [
        ("cohere", 498, {"id": "e", "message": "blocked"}, (400, "content_policy_violation")),
        (
            "cohere",
            400,
            {"id": "e", "message": "too many tokens: total number of tokens"},
            (400, "context_length_exceeded"),
        ),
        ("cohere", 401, {"id": "e", "message": "invalid api token"}, (502, "provider_error")),
        ("ollama", 400, {"error": "tiny does not support tools"}, (400, "invalid_request")),
        ("ollama", 404, {"error": "model 'gone' not found"}, (502, "provider_error")),
    ],
)
def test_a_refusal_has_its_row_of_the_table(
    sdk: openai.OpenAI,
    upstream: Upstream,
    provider: str,
    status: int,
    body: Any,
    expected: tuple[int, str],
) -> None:
    upstream.script(f"refuses-{status}", says(body, status))
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError) as caught:
            sdk.chat.completions.create(
                model=f"{provider}/refuses-{status}", messages=HI, stream=stream
            )
        assert (caught.value.status_code, caught.value.code) == expected


SAID = sse({"type": "content-delta", "index": 0, **message({"content": {"text": "half"}})})[0]
FAILED = sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}})[0]
HALF = {"message": {"content": "half"}}


@pytest.mark.parametrize(
    ("provider", "said", "then", "words"),
    [
        ("cohere", SAID, FAILED, "it broke"),
        ("cohere", SAID, b": nothing more\n\n", "ended before the answer did"),
        ("cohere", SAID, cuts, "upstream_error"),
        ("ollama", HALF, {"error": "it broke"}, "it broke"),
        ("ollama", HALF, {"message": {"content": ""}}, "ended before the answer did"),
    ],
    ids=["cohere-error", "cohere-cut-short", "cohere-reset", "ollama-error", "ollama-cut-short"],
)
def test_a_stream_that_fails_ends_in_an_error_event(
    site: Site, upstream: Upstream, provider: str, said: Any, then: Any, words: str
) -> None:
    gate = upstream.gate()
    upstream.script(
        "fails-late",
        streams(said, gate, then) if provider == "cohere" else ndjson(said, gate, then),
    )
    body = {"model": f"{provider}/fails-late", "messages": HI, "stream": True}
    with httpx.stream(
        "POST",
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json=body,
        timeout=60,
        trust_env=False,
    ) as answer:
        lines = answer.iter_lines()
        assert '"content":"half"' in next(lines)
        gate.open()
        rest = "".join(lines)
    assert words in rest
    assert '"type":"upstream_error"' in rest
    assert "[DONE]" not in rest
