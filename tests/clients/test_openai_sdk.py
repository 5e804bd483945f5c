"""The official SDK, also as a client of Azure, with every wire. It sends back all that it received, so that every thought must
reach the model again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
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
    Report,
)

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The temperature in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
DIFFERENCE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "difference",
        "parameters": {
            "type": "object",
            "properties": {"warmer": {"type": "integer"}, "colder": {"type": "integer"}},
            "required": ["warmer", "colder"],
        },
    },
}

Ask = Callable[[openai.OpenAI, str, list[Any]], Any]


@pytest.fixture(params=["openai", "azure"])
def sdk(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    options: dict[str, Any] = {"api_key": gateway.site.key, "max_retries": 0, "timeout": 60}
    if request.param == "openai":
        client = openai.OpenAI(base_url=gateway.base_url, **options)
    else:
        endpoint = gateway.base_url.removesuffix("/v1")
        client = openai.AzureOpenAI(
            azure_endpoint=endpoint, api_version="2026-10-01-preview", **options
        )
    with client:
        yield client


def complete(client: openai.OpenAI, model: str, messages: list[Any]) -> Any:
    reply = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER, DIFFERENCE], reasoning_effort="low"
    )  # type: ignore[list-item]
    return reply.choices[0]


def streamed(client: openai.OpenAI, model: str, messages: list[Any]) -> Any:
    with client.chat.completions.stream(
        model=model, messages=messages, tools=[WEATHER, DIFFERENCE], reasoning_effort="low"
    ) as stream:  # type: ignore[list-item]
        return stream.get_final_completion().choices[0]


def run_tool(call: Any) -> str:
    arguments = json.loads(call.function.arguments)
    if call.function.name == "weather":
        return json.dumps({"celsius": DEGREES[arguments["city"]]})
    return str(arguments["warmer"] - arguments["colder"])


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(gateway: Gateway, sdk: openai.OpenAI, ask: Ask) -> None:
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": COMPARE},
    ]
    thoughts = []
    while (choice := ask(sdk, gateway.model, messages)).finish_reason == "tool_calls":
        messages.append(choice.message)
        thoughts.append(getattr(choice.message, "reasoning_content", None))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": run_tool(call)}
            for call in choice.message.tool_calls
        ]
    assert choice.message.content == CONCLUSION
    messages += [choice.message, {"role": "user", "content": THANKS}]
    assert ask(sdk, gateway.model, messages).message.content == GOODBYE
    assert gateway.upstream.refusals == []
    assert [model_input.system for model_input in gateway.upstream.inputs] == [SYSTEM] * 4
    if gateway.can_think:
        assert thoughts == ["Two cities: two calls. ☁️", "Now the difference."]
        returned_thoughts = [
            turn.thoughts for turn in gateway.upstream.inputs[-1].turns if turn.role == "model"
        ]
        assert all(returned_thoughts), "every thought comes back to the model"


def test_azures_client_runs_its_tools(gateway: Gateway) -> None:
    messages: list[Any] = [{"role": "user", "content": COMPARE}]
    with openai.AzureOpenAI(
        azure_endpoint=gateway.site.url,
        api_key=gateway.site.key,
        api_version="2024-10-21",
        max_retries=0,
        timeout=60,
    ) as client:
        while (choice := complete(client, gateway.model, messages)).finish_reason == "tool_calls":
            messages.append(choice.message)
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": run_tool(call)}
                for call in choice.message.tool_calls
            ]
    assert choice.message.content == CONCLUSION
    assert gateway.upstream.refusals == []


def test_structured_output(gateway: Gateway, sdk: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": REPORT_ON}]
    reply = sdk.chat.completions.parse(
        model=gateway.model, messages=messages, response_format=Report
    )
    assert reply.choices[0].message.parsed == Report.model_validate(REPORT)
    assert reply.choices[0].finish_reason == "stop"
    assert not reply.choices[0].message.tool_calls
    with sdk.chat.completions.stream(
        model=gateway.model, messages=messages, response_format=Report
    ) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Report.model_validate(
            REPORT
        )
