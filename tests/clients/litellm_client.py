"""Asks a gateway with LiteLLM. Heavy to import, so only the tests that run do it."""

from __future__ import annotations

from typing import Any

import litellm
import openai

from tests.clients.conftest import Gateway
from tests.clients.model import COMPARE, SYSTEM, THANKS
from tests.clients.test_openai_sdk import DIFFERENCE, WEATHER, run_tool


def ask(client: openai.OpenAI, model: str, messages: list[Any]) -> Any:
    reply: Any = litellm.completion(
        model=f"openai/{model}",
        client=client,  # Which the test closes: LiteLLM leaves its own open.
        messages=messages,
        tools=[WEATHER, DIFFERENCE],
        reasoning_effort="low",
        allowed_openai_params=["reasoning_effort"],
        timeout=60,
    )
    return reply.choices[0].message


def converse(gateway: Gateway) -> tuple[str, str]:
    """A question that needs tools, and thanks for the answer. Returns both answers."""
    with openai.OpenAI(
        base_url=gateway.base_url, api_key=gateway.site.key, max_retries=0
    ) as client:
        return converse_with(client, gateway.model)


def converse_with(client: openai.OpenAI, model: str) -> tuple[str, str]:
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": COMPARE},
    ]
    while (message := ask(client, model, messages)).tool_calls:
        messages.append(message)
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": run_tool(call)}
            for call in message.tool_calls
        ]
    messages += [message, {"role": "user", "content": THANKS}]
    return message.content, ask(client, model, messages).content
