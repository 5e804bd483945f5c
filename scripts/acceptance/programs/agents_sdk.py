"""The Agents SDK as it comes, with the Responses API: only its address and key are set."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIProvider,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel
from steps import SETUP, difference, equal, run, weather

set_tracing_disabled(True)
TOOLS: list[Any] = [function_tool(weather), function_tool(difference)]
ENCRYPTED = ModelSettings(
    store=False,
    reasoning=Reasoning(effort="low", summary="auto"),
    response_include=["reasoning.encrypted_content"],
)


class Report(BaseModel):
    city: str
    celsius: int
    notes: list[str]


def reporter(**more: Any) -> Agent:
    return Agent(name="Reporter", instructions=SETUP["system"], model=SETUP["model"], **more)


def two_tools() -> str:
    result = Runner.run_sync(reporter(tools=TOOLS), SETUP["compare"])
    return str(equal(result.final_output, SETUP["conclusion"]))


def streamed() -> str:
    return asyncio.run(stream())


async def stream() -> str:
    """With a client of its own, since the SDK's belongs to the event loop of `run_sync`."""
    provider = OpenAIProvider(openai_client=AsyncOpenAI())
    own = RunConfig(model_provider=provider)
    result = Runner.run_streamed(reporter(tools=TOOLS), SETUP["compare"], run_config=own)
    texts = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    if not "".join(texts).endswith(SETUP["conclusion"]):
        raise AssertionError(f"streamed {texts}")
    return str(equal(result.final_output, SETUP["conclusion"]))


def output_type() -> str:
    result = Runner.run_sync(reporter(output_type=Report), SETUP["report_on"])
    return str(equal(result.final_output, Report(**SETUP["report"])))


def reasoning() -> str:
    """Tools and a second question, with the reasoning sent back."""
    agent = reporter(tools=TOOLS, model_settings=ENCRYPTED)
    first = Runner.run_sync(agent, SETUP["compare"])
    equal(first.final_output, SETUP["conclusion"])
    thanked: list[Any] = [*first.to_input_list(), {"role": "user", "content": SETUP["thanks"]}]
    return str(equal(Runner.run_sync(agent, thanked).final_output, SETUP["goodbye"]))


def previous_response() -> str:
    """The second question goes without the history, which the site has kept."""
    agent = reporter(tools=TOOLS)
    first = Runner.run_sync(agent, SETUP["compare"])
    last_id = first.last_response_id
    second = Runner.run_sync(agent, SETUP["thanks"], previous_response_id=last_id)
    return str(equal(second.final_output, SETUP["goodbye"]))


kept = [previous_response] if SETUP["keeps_responses"] else []
run(two_tools, output_type, reasoning, *kept, streamed)
