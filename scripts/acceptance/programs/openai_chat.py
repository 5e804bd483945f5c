"""The OpenAI SDK with Chat Completions."""

from __future__ import annotations

import json
from typing import Any

import openai
from pydantic import BaseModel
from steps import SCHEMAS, SETUP, call, equal, run

client = openai.OpenAI(base_url=SETUP["base_url"], api_key=SETUP["key"], max_retries=0)
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}
    for name, schema in SCHEMAS.items()
]


class Report(BaseModel):
    city: str
    celsius: int
    notes: list[str]


def converse(send: Any) -> str:
    """A question that needs tools, and thanks for the answer."""
    messages: list[Any] = [
        {"role": "system", "content": SETUP["system"]},
        {"role": "user", "content": SETUP["compare"]},
    ]
    message = ask(send, messages)
    while message.tool_calls:
        for use in message.tool_calls:
            result = call(use.function.name, json.loads(use.function.arguments))
            messages.append({"role": "tool", "tool_call_id": use.id, "content": result})
        message = ask(send, messages)
    equal(message.content, SETUP["conclusion"])
    messages.append({"role": "user", "content": SETUP["thanks"]})
    return str(equal(ask(send, messages).content, SETUP["goodbye"]))


def ask(send: Any, messages: list[Any]) -> Any:
    """The message, which is appended as it came."""
    answer = send(model=SETUP["model"], messages=messages, tools=TOOLS, reasoning_effort="low")
    message = answer.choices[0].message
    messages.append(message)
    return message


def complete() -> str:
    return converse(client.chat.completions.create)


def streamed() -> str:
    return converse(stream)


def stream(**request: Any) -> Any:
    with client.chat.completions.stream(**request) as events:
        list(events)
        return events.get_final_completion()


def parsed() -> str:
    answer = client.chat.completions.parse(
        model=SETUP["model"],
        messages=[{"role": "user", "content": SETUP["report_on"]}],
        response_format=Report,
    )
    return str(equal(answer.choices[0].message.parsed, Report(**SETUP["report"])))


run(complete, streamed, parsed)
