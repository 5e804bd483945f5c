"""LangChain's ChatOpenAI with every wire. It drops what it has no name for, such as thoughts and
their signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import BadRequestError

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


@tool
def weather(city: str) -> dict[str, int]:
    """The temperature in a city."""
    return {"celsius": DEGREES[city]}


@tool
def difference(warmer: int, colder: int) -> int:
    """By how many degrees one is warmer."""
    return warmer - colder


TOOLS = {"weather": weather, "difference": difference}
Ask = Callable[[Any, list[BaseMessage]], AIMessage]


@pytest.fixture
def chat(gateway: Gateway) -> ChatOpenAI:
    settings: dict[str, Any] = {
        "base_url": gateway.base_url,
        "api_key": gateway.site.key,
        "max_retries": 0,
        "timeout": 60,
    }
    return ChatOpenAI(model=gateway.model, reasoning_effort="low", stream_usage=True, **settings)


def complete(model: Any, messages: list[BaseMessage]) -> AIMessage:
    reply: AIMessage = model.invoke(messages)
    return reply


def streamed(model: Any, messages: list[BaseMessage]) -> AIMessage:
    whole: Any = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    assert isinstance(whole, AIMessage)
    return whole


@pytest.mark.parametrize("ask", [complete, streamed])
def test_a_conversation_with_tools(gateway: Gateway, chat: ChatOpenAI, ask: Ask) -> None:
    model = chat.bind_tools(list(TOOLS.values()))
    messages: list[BaseMessage] = [SystemMessage(SYSTEM), HumanMessage(COMPARE)]
    while (reply := ask(model, messages)).tool_calls:
        messages += [reply, *(TOOLS[call["name"]].invoke(call) for call in reply.tool_calls)]
    assert reply.content == CONCLUSION
    assert reply.usage_metadata is not None
    if gateway.upstream.wire.counts_cached:
        assert reply.usage_metadata["input_token_details"].get("cache_read") == 5
    messages += [reply, HumanMessage(THANKS)]
    assert ask(model, messages).content == GOODBYE
    assert gateway.upstream.refusals == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gateway: Gateway, chat: ChatOpenAI, method: Any) -> None:
    model = chat.with_structured_output(Report, method=method)
    if method == "function_calling" and not gateway.upstream.wire.can_force_tools:
        with pytest.raises(BadRequestError, match="tool_choice"):
            model.invoke([HumanMessage(REPORT_ON)])
        return
    assert model.invoke([HumanMessage(REPORT_ON)]) == Report.model_validate(REPORT)
    assert gateway.upstream.refusals == []
