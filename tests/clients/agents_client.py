"""Asks a gateway with OpenAI's Agents SDK. Heavy to import, so only the tests that run do it."""

from __future__ import annotations

from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning

from tests.clients.conftest import Gateway
from tests.clients.model import COMPARE, DEGREES, SYSTEM, THANKS

set_tracing_disabled(True)


@function_tool
def weather(city: str) -> str:
    """The temperature in a city."""
    return str(DEGREES[city])


@function_tool
def difference(warmer: int, colder: int) -> str:
    """By how many degrees one is warmer."""
    return str(warmer - colder)


async def converse(gateway: Gateway) -> tuple[str, str]:
    """A question that needs tools, and thanks for the answer. Returns both answers."""
    async with AsyncOpenAI(
        base_url=gateway.base_url, api_key=gateway.site.key, max_retries=0, timeout=60
    ) as client:
        agent = Agent(
            name="Reporter",
            instructions=SYSTEM,
            model=OpenAIChatCompletionsModel(model=gateway.model, openai_client=client),
            model_settings=ModelSettings(reasoning=Reasoning(effort="low")),
            tools=[weather, difference],
        )
        first = await Runner.run(agent, COMPARE)
        thanked: list[Any] = [*first.to_input_list(), {"role": "user", "content": THANKS}]
        second = await Runner.run(agent, thanked)
        return first.final_output, second.final_output
