"""Conversations that refer to what the site keeps, with every wire, through a site of two
processes: by the id of the response before, and by the ids of single items, as the AI SDK does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest

from tests.clients.conftest import MODELS, Upstreams, running_upstreams
from tests.clients.model import (
    COMPARE,
    CONCLUSION,
    DEGREES,
    GOODBYE,
    SYSTEM,
    THANKS,
    ModelInput,
    ModelOutput,
)
from tests.clients.wires import WIRES
from tests.clients.wires.base import ScriptedModel
from tests.scripted_provider import Exchange
from tests.servers import Site, make_template, running_site

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
DIFFERENCE: Any = {
    "type": "function",
    "name": "difference",
    "parameters": {
        "type": "object",
        "properties": {"warmer": {"type": "integer"}, "colder": {"type": "integer"}},
        "required": ["warmer", "colder"],
        "additionalProperties": False,
    },
    "strict": True,
}

Ask = Callable[..., Any]
Continue = Callable[[Any, list[Any], list[Any]], dict[str, Any]]
"""The response, what the conversation has been so far, and the new items -> how to go on."""


REPEATED_IDS = ("chatcmpl-1", "msg_1", "reply-1", "response-1", "resp_1")
"""Of the replies of the scripted wires."""


class UniqueIds(ScriptedModel):
    """A scripted model whose replies have ids of their own, as those of providers have."""

    async def _send(self, exchange: Exchange, model_input: ModelInput, output: ModelOutput) -> None:
        own = f'{uuid4().hex}"'.encode()

        def make_unique(data: bytes) -> bytes:
            for repeated in REPEATED_IDS:
                data = data.replace(f'"{repeated}"'.encode(), f'"{repeated}-'.encode() + own)
            return data

        whole, piece = exchange.whole, exchange.piece
        exchange.whole = lambda body, *more: whole(make_unique(body), *more)  # type: ignore[method-assign]
        exchange.piece = lambda data: piece(make_unique(data))  # type: ignore[method-assign]
        await super()._send(exchange, model_input, output)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[Upstreams]:
    with running_upstreams(UniqueIds) as upstreams:
        yield upstreams


@pytest.fixture(scope="module")
def keeping_site(upstreams: Upstreams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("kept")
    key = make_template(folder)
    settings = {
        "PROVIDERS": {
            name: scripted.wire.build_settings(url) for name, (url, scripted) in upstreams.items()
        },
        "RESPONSES": {"STORE": True},
        "ATTEMPTS": {"RETRIES": 0},
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
    }
    with running_site("gunicorn-sync", folder, folder, key, settings) as running:
        yield running


@pytest.fixture
def sdk(keeping_site: Site) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{keeping_site.url}/v1", api_key=keeping_site.key, max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture(params=MODELS, ids=lambda pair: "-".join(pair))
def model(request: pytest.FixtureRequest, upstreams: Upstreams) -> tuple[str, ScriptedModel]:
    """The model for a client, and the provider behind it."""
    wire, name = request.param
    scripted = upstreams[wire][1]
    scripted.inputs.clear()
    scripted.refusals.clear()
    return f"{wire}/{name}", scripted


def complete(client: openai.OpenAI, **request: Any) -> Any:
    return client.responses.create(**request)


def streamed(client: openai.OpenAI, **request: Any) -> Any:
    with client.responses.stream(**request) as stream:
        return stream.get_final_response()


def by_previous_response(response: Any, before: list[Any], new: list[Any]) -> dict[str, Any]:
    return {"previous_response_id": response.id, "input": new}


def by_item_references(response: Any, before: list[Any], new: list[Any]) -> dict[str, Any]:
    """As the AI SDK does: everything again, but the model's items only by their ids."""
    references = [{"type": "item_reference", "id": item.id} for item in response.output]
    return {"input": [*before, *references, *new]}


@pytest.mark.parametrize("go_on", [by_previous_response, by_item_references])
@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(
    model: tuple[str, ScriptedModel], sdk: openai.OpenAI, ask: Ask, go_on: Continue
) -> None:
    name, upstream = model
    fixed = {
        "model": name,
        "instructions": SYSTEM,
        "tools": [WEATHER, DIFFERENCE],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    request: dict[str, Any] = {"input": [{"role": "user", "content": COMPARE}]}
    response = ask(sdk, **fixed, **request)
    while calls := [item for item in response.output if item.type == "function_call"]:
        assert response.store is True
        request = go_on(response, request["input"], [run_tool(call) for call in calls])
        response = ask(sdk, **fixed, **request)
    assert response.output_text == CONCLUSION
    thanks = [{"role": "user", "content": THANKS}]
    response = ask(sdk, **fixed, **go_on(response, request["input"], thanks))
    assert response.output_text == GOODBYE
    assert upstream.refusals == []
    assert [len(each.turns) for each in upstream.inputs] == [1, 3, 5, 7]
    if upstream.wire.can_think(name.partition("/")[2]):
        last = [turn.thoughts for turn in upstream.inputs[-1].turns if turn.role == "model"]
        assert all(last), "every thought comes back to the model"


def run_tool(call: Any) -> dict[str, Any]:
    arguments = json.loads(call.arguments)
    output = (
        json.dumps({"celsius": DEGREES[arguments["city"]]})
        if call.name == "weather"
        else str(arguments["warmer"] - arguments["colder"])
    )
    return {"type": "function_call_output", "call_id": call.call_id, "output": output}


def test_no_file_of_the_site_has_the_words(keeping_site: Site, sdk: openai.OpenAI) -> None:
    """Neither the database nor the journal nor the log."""
    words = f"The password is {uuid4().hex}."
    messages = [{"role": "user", "content": f"{COMPARE} {words}"}]
    response = sdk.responses.create(model="openai/gpt-5", input=messages, instructions=words)  # type: ignore[arg-type]
    assert words in sdk.responses.retrieve(response.id).to_json()
    keeping_site.wait_for_usage(1, endpoint="responses")
    files = [path for path in keeping_site.database.parent.rglob("*") if path.is_file()]
    assert {keeping_site.database, keeping_site.log_path} <= set(files)
    assert any(path.parent == keeping_site.journal for path in files)
    for path in files:
        assert words.encode() not in path.read_bytes(), path


def test_input_tokens_count_what_is_referred_to(upstreams: Upstreams, sdk: openai.OpenAI) -> None:
    name = "openai/gpt-5"
    question = "Report on Oslo. " * 100
    response = sdk.responses.create(model=name, input=question)
    count = sdk.responses.input_tokens.count
    short = count(model=name, input=THANKS).input_tokens
    whole = count(model=name, input=THANKS, previous_response_id=response.id).input_tokens
    assert whole > short + 300


@pytest.mark.parametrize("wire", ["openai", "openai_responses"])
def test_what_failed_in_the_middle_is_not_kept(
    upstreams: Upstreams, sdk: openai.OpenAI, wire: str
) -> None:
    upstream = upstreams[wire][1]
    output = ModelOutput("Half of it")
    events = list(upstream.wire.build_stream(ModelInput([]), output))

    async def break_off(exchange: Exchange) -> None:
        await exchange.event_stream()
        for event in events[: len(events) // 2]:
            await exchange.piece(event)
        exchange.writer.transport.abort()

    upstream.script = break_off
    model = f"{wire}/{WIRES[wire].models[0]}"
    stream = sdk.responses.create(model=model, input="Report on Oslo.", stream=True)
    try:
        begun: Any = next(iter(stream))
        with pytest.raises(openai.APIError, match="broke"):
            list(stream)
    finally:
        upstream.script = None
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(begun.response.id)
