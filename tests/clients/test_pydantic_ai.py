"""Pydantic AI's agent and OpenAI model with every wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

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

SETTINGS = OpenAIChatModelSettings(openai_reasoning_effort="low")


def weather(city: str) -> dict[str, int]:
    """The temperature in a city."""
    return {"celsius": DEGREES[city]}


def difference(warmer: int, colder: int) -> int:
    """By how many degrees one is warmer."""
    return warmer - colder


@asynccontextmanager
async def agent(gateway: Gateway, **options: Any) -> AsyncIterator[Agent[None, Any]]:
    async with AsyncOpenAI(
        base_url=gateway.base_url, api_key=gateway.site.key, max_retries=0, timeout=60
    ) as client:
        model = OpenAIChatModel(
            gateway.model, provider=OpenAIProvider(openai_client=client), settings=SETTINGS
        )
        yield Agent(model, instructions=SYSTEM, **options)


async def complete(chat: Agent[None, Any], prompt: str, history: Any = None) -> Any:
    return await chat.run(prompt, message_history=history)


async def streamed(chat: Agent[None, Any], prompt: str, history: Any = None) -> Any:
    async with chat.run_stream_events(prompt, message_history=history) as events:
        *_, last = [event async for event in events]
    return last.result


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(gateway: Gateway, ask: Any) -> None:
    async def run_conversation() -> tuple[Any, Any]:
        async with agent(gateway, tools=[weather, difference]) as chat:
            first = await ask(chat, COMPARE)
            return first, await ask(chat, THANKS, first.all_messages())

    first, second = asyncio.run(run_conversation())
    assert (first.output, second.output) == (CONCLUSION, GOODBYE)
    assert gateway.upstream.refusals == []
    assert len(gateway.upstream.inputs) == 4


@pytest.mark.parametrize("output_type", [NativeOutput, ToolOutput])
@pytest.mark.parametrize("ask", [complete, streamed])
def test_structured_output(gateway: Gateway, ask: Any, output_type: Any) -> None:
    async def run_conversation() -> Any:
        async with agent(gateway, output_type=output_type(Report)) as chat:
            return (await ask(chat, REPORT_ON)).output

    if output_type is ToolOutput and not gateway.upstream.wire.can_force_tools:
        with pytest.raises(ModelHTTPError, match="tool_choice"):
            asyncio.run(run_conversation())
        return
    assert asyncio.run(run_conversation()) == Report.model_validate(REPORT)
    assert gateway.upstream.refusals == []
