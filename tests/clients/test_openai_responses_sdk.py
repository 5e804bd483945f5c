"""The official SDK's Responses with every wire. It sends back all output items, so that every
thought must reach the model again."""

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
from tests.clients.test_openai_sdk import DIFFERENCE, WEATHER
from tests.clients.wires.base import RequestRefused

TOOLS: list[Any] = [
    {"type": "function", "strict": False, **tool["function"]} for tool in (WEATHER, DIFFERENCE)
]
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
"""Those that every streamed text has, each kind once, in their order."""

Ask = Callable[[openai.OpenAI, str, list[Any]], Any]


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=gateway.site.key, max_retries=0, timeout=60
    ) as client:
        yield client


OPTIONS: Any = {
    "instructions": SYSTEM,
    "tools": TOOLS,
    "reasoning": {"effort": "low", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
}


def complete(client: openai.OpenAI, model: str, items: list[Any]) -> Any:
    return client.responses.create(model=model, input=items, **OPTIONS)


def streamed(client: openai.OpenAI, model: str, items: list[Any]) -> Any:
    with client.responses.stream(model=model, input=items, **OPTIONS) as stream:
        return stream.get_final_response()


def run_tool(call: Any) -> str:
    arguments = json.loads(call.arguments)
    if call.name == "weather":
        return json.dumps({"celsius": DEGREES[arguments["city"]]})
    return str(arguments["warmer"] - arguments["colder"])


def calls_of(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "function_call"]


def results_of(response: Any) -> list[Any]:
    return [
        {"type": "function_call_output", "call_id": call.call_id, "output": run_tool(call)}
        for call in calls_of(response)
    ]


def as_input(response: Any) -> list[Any]:
    return [
        item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output
    ]


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(gateway: Gateway, sdk: openai.OpenAI, ask: Ask) -> None:
    items: list[Any] = [{"role": "user", "content": COMPARE}]
    thoughts = []
    while calls_of(response := ask(sdk, gateway.model, items)):
        thoughts += [
            part.text
            for item in response.output
            if item.type == "reasoning"
            for part in item.summary
        ]
        items += [*as_input(response), *results_of(response)]
    assert response.output_text == CONCLUSION
    assert response.status == "completed"
    items += [*as_input(response), {"role": "user", "content": THANKS}]
    assert ask(sdk, gateway.model, items).output_text == GOODBYE
    assert gateway.upstream.refusals == []
    assert [model_input.system for model_input in gateway.upstream.inputs] == [SYSTEM] * 4
    if gateway.can_think:
        assert thoughts == ["Two cities: two calls. ☁️", "Now the difference."]
        returned = [
            turn.thoughts for turn in gateway.upstream.inputs[-1].turns if turn.role == "model"
        ]
        assert all(returned), "every thought comes back to the model"


def test_structured_output(gateway: Gateway, sdk: openai.OpenAI) -> None:
    response = sdk.responses.parse(model=gateway.model, input=REPORT_ON, text_format=Report)
    assert response.output_parsed == Report.model_validate(REPORT)
    with sdk.responses.stream(model=gateway.model, input=REPORT_ON, text_format=Report) as stream:
        assert stream.get_final_response().output_parsed == Report.model_validate(REPORT)


def test_the_events_come_in_their_order(gateway: Gateway, sdk: openai.OpenAI) -> None:
    events = list(sdk.responses.create(model=gateway.model, input=REPORT_ON, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    final = events[-1].response
    place = [item.type for item in final.output].index("message")
    of_text = [event.type for event in events if getattr(event, "output_index", place) == place]
    assert list(dict.fromkeys(of_text)) == EVENTS
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert json.loads("".join(texts)) == REPORT == json.loads(final.output_text)
    assert {event.response.id for event in events if hasattr(event, "response")} == {final.id}
    assert final.usage.total_tokens > 0
    assert final.model


def test_a_tool_that_must_be_called(gateway: Gateway, sdk: openai.OpenAI) -> None:
    if not gateway.upstream.wire.can_force_tools:
        pytest.skip("This wire cannot force a tool.")
    choice: Any = {"type": "function", "name": "weather"}
    response = sdk.responses.create(
        model=gateway.model, input=REPORT_ON, tools=TOOLS, tool_choice=choice
    )
    assert [call.name for call in calls_of(response)] == ["weather"]
    assert gateway.upstream.inputs[-1].must_call == "weather"


def test_the_providers_refusal_is_an_error_of_the_sdk(
    gateway: Gateway, sdk: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model_input: Any) -> Any:
        raise RequestRefused("You have asked for too much.")

    monkeypatch.setattr(gateway.upstream, "generate", refuse, raising=False)
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="asked for too much"):
            sdk.responses.create(model=gateway.model, input=REPORT_ON, stream=stream)
