"""The APIs of clients and the wires of providers, for the tests of what is the same in all of
them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.clients.model import ModelInput, ModelOutput
from tests.clients.wires.anthropic import AnthropicWire
from tests.clients.wires.base import Wire
from tests.clients.wires.openai import OpenAIWire
from tests.clients.wires.openai_responses import OpenAIResponsesWire

WORDS = "Some words of an answer that has a few pieces."
OUTPUT = ModelOutput(WORDS)


@dataclass(frozen=True)
class Api:
    """How one API is asked, and how its streams say things."""

    name: str
    path: str
    endpoint: str
    question: dict[str, Any]
    ping: str
    """The line that keeps a stream open."""
    first: str
    """What the first line with text contains."""
    end: str
    """What the last event of a whole stream contains."""
    failure: str
    """What the last event of a broken one contains."""

    def body(self, model: str, **fields: Any) -> dict[str, Any]:
        return {"model": model, **self.question, **fields}

    def read_text(self, reply: Any) -> str:
        """The text of a complete reply."""
        if self.name == "chat":
            return str(reply["choices"][0]["message"]["content"])
        blocks = reply["content"] if self.name == "messages" else self._parts(reply)
        return "".join(block["text"] for block in blocks if "text" in block)

    def _parts(self, reply: Any) -> list[Any]:
        return [part for item in reply["output"] for part in item.get("content", ())]

    def read_error(self, event: Any) -> str:
        """The message of the event that ends a broken stream."""
        error = event["response"]["error"] if self.name == "responses" else event["error"]
        return str(error["message"])


HI: list[Any] = [{"role": "user", "content": "Hi"}]
APIS = {
    "chat": Api(
        "chat", "/v1/chat/completions", "chat/completions", {"messages": HI},
        ": keep-alive", "content", "[DONE]", '"error"',
    ),
    "responses": Api(
        "responses", "/v1/responses", "responses", {"input": HI},
        ": keep-alive", "output_text.delta", "response.completed", "response.failed",
    ),
    "messages": Api(
        "messages", "/v1/messages", "messages", {"messages": HI, "max_tokens": 100},
        "event: ping", "text_delta", "message_stop", '"error"',
    ),
}  # fmt: skip

WIRES: dict[str, Wire] = {
    "up": OpenAIWire(),
    "claude": AnthropicWire(),
    "responses": OpenAIResponsesWire(),
}
"""Provider of the sites under test -> its wire."""

PAIRS = [(api, provider) for api in ("responses", "messages") for provider in WIRES]


def reply_of(provider: str) -> Any:
    """A complete reply with WORDS."""
    return WIRES[provider].build_reply(ModelInput([]), OUTPUT)


def events_of(provider: str) -> tuple[list[bytes], list[bytes]]:
    """The events of a stream with WORDS: those up to the middle of the text, and the rest."""
    events = list(WIRES[provider].build_stream(ModelInput([]), OUTPUT))
    middle = len(events) // 2
    return events[:middle], events[middle:]


def read_events(text: str) -> Iterator[Any]:
    """The JSON of each event of a stream."""
    for line in text.splitlines():
        data = line.removeprefix("data: ")
        if data is not line and data != "[DONE]":
            yield json.loads(data)
