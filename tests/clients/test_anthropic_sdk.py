"""Anthropic's official SDK with every wire. It sends back all blocks, so that every thought must
reach the model again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import (
    COMPARE,
    CONCLUSION,
    DEGREES,
    GOODBYE,
    REPORT,
    REPORT_ON,
    SYSTEM,
    THANKS,
)
from tests.clients.test_openai_sdk import DIFFERENCE, WEATHER
from tests.clients.wires.base import RequestRefused

TOOLS: list[Any] = [
    {
        "name": tool["function"]["name"],
        "description": tool["function"].get("description", "A tool."),
        "input_schema": tool["function"]["parameters"],
    }
    for tool in (WEATHER, DIFFERENCE)
]

Ask = Callable[[anthropic.Anthropic, str, list[Any]], Any]


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=gateway.site.url, api_key=gateway.site.key, max_retries=0, timeout=60
    ) as client:
        yield client


OPTIONS: Any = {
    "max_tokens": 4000,
    "system": SYSTEM,
    "tools": TOOLS,
    "thinking": {"type": "enabled", "budget_tokens": 2048},
}


def complete(client: anthropic.Anthropic, model: str, messages: list[Any]) -> Any:
    return client.messages.create(model=model, messages=messages, **OPTIONS)


def streamed(client: anthropic.Anthropic, model: str, messages: list[Any]) -> Any:
    with client.messages.stream(model=model, messages=messages, **OPTIONS) as stream:
        return stream.get_final_message()


def run_tool(call: Any) -> str:
    if call.name == "weather":
        return json.dumps({"celsius": DEGREES[call.input["city"]]})
    return str(call.input["warmer"] - call.input["colder"])


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def as_turn(message: Any) -> Any:
    blocks = [block.model_dump(exclude_none=True) for block in message.content]
    return {"role": "assistant", "content": blocks}


def results_of(message: Any) -> Any:
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": run_tool(block)}
        for block in message.content
        if block.type == "tool_use"
    ]
    return {"role": "user", "content": results}


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(gateway: Gateway, sdk: anthropic.Anthropic, ask: Ask) -> None:
    messages: list[Any] = [{"role": "user", "content": COMPARE}]
    thoughts = []
    while (message := ask(sdk, gateway.model, messages)).stop_reason == "tool_use":
        thoughts += [block.thinking for block in message.content if block.type == "thinking"]
        messages += [as_turn(message), results_of(message)]
    assert text_of(message) == CONCLUSION
    assert message.stop_reason == "end_turn"
    messages += [as_turn(message), {"role": "user", "content": THANKS}]
    assert text_of(ask(sdk, gateway.model, messages)) == GOODBYE
    assert gateway.upstream.refusals == []
    assert [model_input.system for model_input in gateway.upstream.inputs] == [SYSTEM] * 4
    if gateway.can_think:
        assert [each for each in thoughts if each] == [
            "Two cities: two calls. ☁️",
            "Now the difference.",
        ]
        returned = [
            turn.thoughts for turn in gateway.upstream.inputs[-1].turns if turn.role == "model"
        ]
        assert all(returned), "every thought comes back to the model"


def test_the_events_make_the_message(gateway: Gateway, sdk: anthropic.Anthropic) -> None:
    asked: list[Any] = [{"role": "user", "content": REPORT_ON}]
    with sdk.messages.stream(model=gateway.model, max_tokens=1000, messages=asked) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert json.loads(text_of(message)) == REPORT
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert message.usage.output_tokens > 0
    assert message.usage.input_tokens > 0
    complete_message = sdk.messages.create(model=gateway.model, max_tokens=1000, messages=asked)
    assert text_of(complete_message) == text_of(message)
    assert complete_message.usage.output_tokens == message.usage.output_tokens


def test_a_tool_that_must_be_called(gateway: Gateway, sdk: anthropic.Anthropic) -> None:
    if not gateway.upstream.wire.can_force_tools:
        pytest.skip("This wire cannot force a tool.")
    message = sdk.messages.create(
        model=gateway.model,
        max_tokens=1000,
        messages=[{"role": "user", "content": REPORT_ON}],
        tools=TOOLS,
        tool_choice={"type": "tool", "name": "weather"},
    )
    assert [block.name for block in message.content if block.type == "tool_use"] == ["weather"]
    assert gateway.upstream.inputs[-1].must_call == "weather"


def test_the_providers_refusal_is_an_error_of_the_sdk(
    gateway: Gateway, sdk: anthropic.Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model_input: Any) -> Any:
        raise RequestRefused("You have asked for too much.")

    monkeypatch.setattr(gateway.upstream, "generate", refuse, raising=False)
    asked: list[Any] = [{"role": "user", "content": REPORT_ON}]
    for stream in (False, True):
        with pytest.raises(anthropic.BadRequestError, match="asked for too much") as raised:
            sdk.messages.create(model=gateway.model, max_tokens=1000, messages=asked, stream=stream)
        assert raised.value.type == "invalid_request_error"  # type: ignore[attr-defined]
        assert raised.value.request_id
