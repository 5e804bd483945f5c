"""pydantic-ai's models for Responses and for Messages: SETUP["api"] says which."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from steps import SETUP, difference, equal, run, weather


class Report(BaseModel):
    city: str
    celsius: int
    notes: list[str]


def build_model() -> tuple[Any, Any]:
    """The model, and the settings with which it thinks."""
    if SETUP["api"] == "messages":
        anthropic = AnthropicProvider(base_url=SETUP["root"], api_key=SETUP["key"])
        thinking = {"type": "enabled", "budget_tokens": 1024}
        settings = {"anthropic_thinking": thinking, "max_tokens": 4096}
        return AnthropicModel(SETUP["model"], provider=anthropic), settings
    openai = OpenAIProvider(base_url=SETUP["base_url"], api_key=SETUP["key"])
    settings = {"openai_reasoning_effort": "low", "openai_reasoning_summary": "auto"}
    return OpenAIResponsesModel(SETUP["model"], provider=openai), settings


def reporter(**more: Any) -> Any:
    return Agent(MODEL, instructions=SETUP["system"], **more)


MODEL, THINKS = build_model()


def tools() -> str:
    agent = reporter(tools=[weather, difference], model_settings=THINKS)
    first = agent.run_sync(SETUP["compare"])
    equal(first.output, SETUP["conclusion"])
    second = agent.run_sync(SETUP["thanks"], message_history=first.all_messages())
    return str(equal(second.output, SETUP["goodbye"]))


def streamed() -> str:
    agent = reporter(tools=[weather, difference], model_settings=THINKS)
    history = agent.run_sync(SETUP["compare"]).all_messages()
    result = agent.run_stream_sync(SETUP["thanks"], message_history=history)
    return str(equal(result.get_output(), SETUP["goodbye"]))


def output_type() -> str:
    result = reporter(output_type=Report).run_sync(SETUP["report_on"])
    return str(equal(result.output, Report(**SETUP["report"])))


run(tools, streamed, output_type)
