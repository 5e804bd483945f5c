"""A conversation whose turns different providers answer: each accepts it, and gets its own signatures
back and no other's."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.clients import test_anthropic_sdk as messages_sdk
from tests.clients import test_openai_responses_sdk as responses_sdk
from tests.clients.conftest import Upstreams
from tests.clients.model import COMPARE, CONCLUSION, GOODBYE, THANKS
from tests.clients.wires.bedrock import CLAUDE
from tests.servers import Site

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro-preview",
    "openai_responses": "gpt-5-pro",
    "bedrock": CLAUDE,
}
"""Of wires whose models sign what they think."""
NAMES = list(MODELS)
ORDERS = [(*NAMES[start:], *NAMES)[:3] for start in range(4)]


@pytest.fixture(params=ORDERS, ids="-".join)
def wires(request: pytest.FixtureRequest, upstreams: Upstreams) -> list[str]:
    """The wire of each turn. The last one is answered where the first one was."""
    order = request.param
    for _, upstream in upstreams.values():
        upstream.inputs.clear()
        upstream.refusals.clear()
    return [*order, order[0]]


def check_thoughts(upstreams: Upstreams, wires: list[str], turn: int) -> None:
    """The provider of this turn got the thoughts of its own turns."""
    upstream = upstreams[wires[turn]][1]
    assert upstream.refusals == []
    thoughts = [bool(each.thoughts) for each in upstream.inputs[-1].turns if each.role == "model"]
    assert thoughts == [wires[earlier] == wires[turn] for earlier in range(turn)]


def name_model(wire: str) -> str:
    return f"{wire}-0/{MODELS[wire]}"


@pytest.mark.parametrize("ask", [responses_sdk.complete, responses_sdk.streamed])
def test_a_client_of_responses(
    client_site: Site, upstreams: Upstreams, wires: list[str], ask: responses_sdk.Ask
) -> None:
    items: list[Any] = [{"role": "user", "content": COMPARE}]
    answers = []
    with openai.OpenAI(base_url=f"{client_site.url}/v1", api_key=client_site.key) as client:
        for turn, wire in enumerate(wires):
            response = ask(client, name_model(wire), items)
            check_thoughts(upstreams, wires, turn)
            answers.append(response.output_text)
            items += responses_sdk.as_input(response)
            items += responses_sdk.results_of(response) or [{"role": "user", "content": THANKS}]
    assert answers[2:] == [CONCLUSION, GOODBYE]


@pytest.mark.parametrize("ask", [messages_sdk.complete, messages_sdk.streamed])
def test_a_client_of_messages(
    client_site: Site, upstreams: Upstreams, wires: list[str], ask: messages_sdk.Ask
) -> None:
    messages: list[Any] = [{"role": "user", "content": COMPARE}]
    answers = []
    with anthropic.Anthropic(base_url=client_site.url, api_key=client_site.key) as client:
        for turn, wire in enumerate(wires):
            message = ask(client, name_model(wire), messages)
            check_thoughts(upstreams, wires, turn)
            answers.append(messages_sdk.text_of(message))
            results = messages_sdk.results_of(message)
            after = results if results["content"] else {"role": "user", "content": THANKS}
            messages += [messages_sdk.as_turn(message), after]
    assert answers[2:] == [CONCLUSION, GOODBYE]
