"""Asks a gateway with an agent of Pydantic AI. Heavy to import, so only the tests that run do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.conftest import Gateway
from tests.clients.model import COMPARE, DEGREES, REPORT_ON, SYSTEM, THANKS, Report

SETTINGS = OpenAIChatModelSettings(openai_reasoning_effort="low")
OUTPUTS = {"native": NativeOutput, "tool": ToolOutput}


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


WAYS = {"complete": complete, "streamed": streamed}


async def converse(gateway: Gateway, way: str) -> tuple[Any, Any]:
    """A question that needs tools, and thanks for the answer. Returns both results."""
    async with agent(gateway, tools=[weather, difference]) as chat:
        first = await WAYS[way](chat, COMPARE)
        return first, await WAYS[way](chat, THANKS, first.all_messages())


async def ask_for_report(gateway: Gateway, way: str, output: str) -> Any:
    output_type: Any = OUTPUTS[output]
    async with agent(gateway, output_type=output_type(Report)) as chat:
        return (await WAYS[way](chat, REPORT_ON)).output
