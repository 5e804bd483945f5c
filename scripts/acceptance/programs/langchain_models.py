"""LangChain's models for Responses and for Messages: SETUP["api"] says which."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from steps import SETUP, call, difference, equal, run, weather


def build_model() -> Any:
    if SETUP["api"] == "messages":
        thinking = {"type": "enabled", "budget_tokens": 1024}
        return ChatAnthropic(
            model=SETUP["model"],
            base_url=SETUP["root"],
            api_key=SETUP["key"],
            max_tokens=4096,
            thinking=thinking,
            max_retries=0,
        )
    return ChatOpenAI(
        model=SETUP["model"],
        base_url=SETUP["base_url"],
        api_key=SETUP["key"],
        use_responses_api=True,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        store=False,
        max_retries=0,
    )


MODEL = build_model().bind_tools([tool(weather), tool(difference)])


def converse(ask: Any) -> str:
    """A question that needs tools, and thanks for the answer."""
    messages: list[Any] = [SystemMessage(SETUP["system"]), HumanMessage(SETUP["compare"])]
    while (answer := ask(messages)).tool_calls:
        messages.append(answer)
        messages += [
            ToolMessage(call(use["name"], use["args"]), tool_call_id=use["id"])
            for use in answer.tool_calls
        ]
    equal(answer.text, SETUP["conclusion"])
    messages += [answer, HumanMessage(SETUP["thanks"])]
    return str(equal(ask(messages).text, SETUP["goodbye"]))


def complete() -> str:
    return converse(MODEL.invoke)


def streamed() -> str:
    return converse(stream)


def stream(messages: list[Any]) -> Any:
    pieces = list(MODEL.stream(messages))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole + piece
    return whole


run(complete, streamed)
