"""Asks a gateway with LiteLLM. Heavy to import, so only the tests that run do it."""

from __future__ import annotations

from typing import Any

import litellm

from tests.clients.conftest import Gateway
from tests.clients.model import COMPARE, SYSTEM, THANKS
from tests.clients.test_openai_sdk import DIFFERENCE, WEATHER, run_tool


def ask(gateway: Gateway, messages: list[Any]) -> Any:
    reply: Any = litellm.completion(
        model=f"openai/{gateway.model}",
        api_base=gateway.base_url,
        api_key=gateway.site.key,
        messages=messages,
        tools=[WEATHER, DIFFERENCE],
        reasoning_effort="low",
        allowed_openai_params=["reasoning_effort"],
        max_retries=0,
        timeout=60,
    )
    return reply.choices[0].message


def converse(gateway: Gateway) -> tuple[str, str]:
    """A question that needs tools, and thanks for the answer. Returns both answers."""
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": COMPARE},
    ]
    while (message := ask(gateway, messages)).tool_calls:
        messages.append(message)
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": run_tool(call)}
            for call in message.tool_calls
        ]
    messages += [message, {"role": "user", "content": THANKS}]
    return message.content, ask(gateway, messages).content
