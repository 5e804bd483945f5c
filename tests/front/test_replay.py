"""Anthropic and Gemini behind a real server: what the official SDK got in one turn reaches the
provider in the next as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Upstream, says, streams
from tests.servers import Site

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings"
CASES = [
    "anthropic/interleaved_thinking",
    "anthropic/pause_turn",
    "anthropic/citations",
    "gemini/text_after_a_call",
    "gemini/images_between_text",
]
QUESTION = {"role": "user", "content": "Hi"}


@pytest.fixture(scope="module")
def site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    providers = {
        "anthropic": {"DIALECT": "anthropic", "BASE_URL": upstream.url, "API_KEY": "ant-secret"},
        "gemini": {"DIALECT": "gemini", "BASE_URL": f"{upstream.url}beta", "API_KEY": "gem-secret"},
    }
    settings = native_api(upstream, PROVIDERS=providers, MODELS={})
    with serve("uvicorn", settings) as running:
        yield running


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


@pytest.mark.parametrize("streamed", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize("case", CASES)
def test_the_provider_gets_its_turn_back(
    sdk: openai.OpenAI, upstream: Upstream, case: str, streamed: bool
) -> None:
    wire, _, name = case.partition("/")
    told = json.loads((RECORDINGS / f"{case}.json").read_text())
    model = f"{'claude-opus-4-8' if wire == 'anthropic' else 'gemini-3-flash'}-{name.replace('_', '-')}-{streamed}".lower()
    upstream.script(model, streams(told["stream"].encode()) if streamed else says(told["reply"]))
    message = turn_of(sdk, f"{wire}/{model}", streamed)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        for call in message.get("tool_calls") or ()
    ]
    upstream.script(model, says(told["reply"]))
    sdk.chat.completions.create(
        model=f"{wire}/{model}", messages=[QUESTION, message, *results, QUESTION]
    )  # type: ignore[list-item]
    body = upstream.requests_for(model)[-1].body
    if wire == "anthropic":
        assert body["messages"][1] == {"role": "assistant", "content": told["reply"]["content"]}
    else:
        assert body["contents"][1] == {
            "role": "model",
            "parts": told["reply"]["candidates"][0]["content"]["parts"],
        }


def turn_of(sdk: openai.OpenAI, model: str, streamed: bool) -> dict[str, Any]:
    """The assistant's message as the SDK puts it together."""
    asked: Any = {"model": model, "messages": [QUESTION]}
    if not streamed:
        return sdk.chat.completions.create(**asked).choices[0].message.to_dict()
    with sdk.chat.completions.stream(**asked) as stream:
        return stream.get_final_completion().choices[0].message.to_dict()
