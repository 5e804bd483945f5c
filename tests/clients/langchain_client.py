"""Asks a gateway with LangChain's ChatOpenAI. Heavy to import, so only the tests that run do it."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from tests.clients.conftest import Gateway
from tests.clients.model import COMPARE, DEGREES, REPORT_ON, SYSTEM, THANKS, Report


@tool
def weather(city: str) -> dict[str, int]:
    """The temperature in a city."""
    return {"celsius": DEGREES[city]}


@tool
def difference(warmer: int, colder: int) -> int:
    """By how many degrees one is warmer."""
    return warmer - colder


TOOLS = {"weather": weather, "difference": difference}


def make_chat(gateway: Gateway) -> ChatOpenAI:
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


WAYS = {"complete": complete, "streamed": streamed}


def converse(gateway: Gateway, way: str) -> tuple[AIMessage, AIMessage]:
    """A question that needs tools, and thanks for the answer. Returns both replies."""
    ask, model = WAYS[way], make_chat(gateway).bind_tools(list(TOOLS.values()))
    messages: list[BaseMessage] = [SystemMessage(SYSTEM), HumanMessage(COMPARE)]
    while (reply := ask(model, messages)).tool_calls:
        messages += [reply, *(TOOLS[call["name"]].invoke(call) for call in reply.tool_calls)]
    return reply, ask(model, [*messages, reply, HumanMessage(THANKS)])


def ask_for_report(gateway: Gateway, method: Any) -> Any:
    model = make_chat(gateway).with_structured_output(Report, method=method)
    return model.invoke([HumanMessage(REPORT_ON)])
