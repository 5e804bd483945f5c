"""Ids of tool calls on HTTP: providers that give none, or the same again, and the next turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.front.cohere_and_ollama import ndjson
from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Script, Upstream, completion, says, streams
from tests.servers import Site

QUESTION = {"role": "user", "content": "Hi"}
CALL = {"name": "weather", "arguments": {"city": "Oslo"}}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


def ollama(streamed: bool) -> Script:
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": CALL}] * 2}
    reply = {"model": "m", "message": message, "done": True, "done_reason": "stop"}
    counts = {"prompt_eval_count": 1, "eval_count": 1}
    return ndjson({**reply, **counts}) if streamed else says({**reply, **counts})


def gemini(streamed: bool) -> Script:
    call = {"functionCall": {"name": CALL["name"], "args": CALL["arguments"]}}
    candidate = {"content": {"parts": [call, call]}, "finishReason": "STOP"}
    reply = {"candidates": [candidate], "modelVersion": "g"}
    return streams(f"data: {json.dumps(reply)}\n\n".encode()) if streamed else says(reply)


def repeating(call_id: str | None) -> Callable[[bool], Script]:
    """A provider of OpenAI's wire that gives both calls this id, in every turn."""
    function = {"name": CALL["name"], "arguments": json.dumps(CALL["arguments"])}
    calls = [
        {"index": index, "id": call_id, "type": "function", "function": function}
        for index in range(2)
    ]

    def script(streamed: bool) -> Script:
        reply = completion(None, tool_calls=calls)
        if not streamed:
            return says(reply)
        head = {**reply, "object": "chat.completion.chunk"}
        delta = {"role": "assistant", "tool_calls": calls}
        choices = [
            {"index": 0, "delta": delta, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
        ]
        events = [f"data: {json.dumps({**head, 'choices': [each]})}\n\n" for each in choices]
        return streams("".join([*events, "data: [DONE]\n\n"]).encode())

    return script


PROVIDERS = {
    "ollama": ollama,
    "gemini": gemini,
    "up": repeating(None),
    "empty": repeating(""),
    "kimi": repeating("functions.weather:0"),
}


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    def provider(dialect: str, url: str = upstream.url) -> dict[str, Any]:
        return {"DIALECT": dialect, "BASE_URL": url, "API_KEY": "secret"}

    providers = {
        "ollama": provider("ollama", upstream.url.removesuffix("/v1")),
        "gemini": provider("gemini", f"{upstream.url}beta"),
        **dict.fromkeys(("up", "empty", "kimi"), provider("openai")),
    }
    with serve("uvicorn", native_api(upstream, PROVIDERS=providers, MODELS={})) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def read_turn(sdk: openai.OpenAI, model: str, messages: list[Any], streamed: bool) -> Any:
    """The message as the official SDK puts it together."""
    request: Any = {"model": model, "messages": messages, "tools": TOOLS}
    if not streamed:
        return sdk.chat.completions.create(**request).choices[0].message.to_dict()
    with sdk.chat.completions.stream(**request) as stream:
        return stream.get_final_completion().choices[0].message.to_dict()


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_call_in_two_turns_has_two_ids(
    sdk: openai.OpenAI, upstream: Upstream, provider: str, streamed: bool
) -> None:
    """An agent that remembers which calls it has answered would otherwise never end."""
    model = f"gemini-3-{provider}-{streamed}".lower()
    messages: list[Any] = [QUESTION]
    seen: list[str] = []
    for _ in range(2):
        upstream.script(model, PROVIDERS[provider](streamed))
        message = read_turn(sdk, f"{provider}/{model}", messages, streamed)
        ids = [call["id"] for call in message["tool_calls"]]
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["weather"] * 2
        assert len(set(ids)) == 2
        seen += ids
        results = [{"role": "tool", "tool_call_id": each, "content": "ok"} for each in ids]
        messages += [message, *results]
    assert all(seen)
    if provider != "kimi":  # whose own ids stay, and are told apart in the next request
        assert len(set(seen)) == 4
    upstream.script(model, PROVIDERS[provider](streamed))
    read_turn(sdk, f"{provider}/{model}", messages, streamed)
    body = upstream.requests_for(model)[-1].body
    sent = find_ids(body.get("messages") or body["contents"])
    assert len(set(sent)) == 4
    assert len(sent) == 8  # each in its call and in its result


def find_ids(turns: list[Any]) -> list[str]:
    calls = [call["id"] for turn in turns for call in turn.get("tool_calls") or ()]
    results = [turn["tool_call_id"] for turn in turns if "tool_call_id" in turn]
    parts = [part for turn in turns for part in turn.get("parts", ())]
    blocks = [part.get("functionCall") or part.get("functionResponse") or {} for part in parts]
    return calls + results + [block["id"] for block in blocks if "id" in block]
