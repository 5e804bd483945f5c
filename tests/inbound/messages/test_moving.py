"""One conversation of a Messages client, with thinking, tools and images, moves through all wires,
turn by turn, and then through all of them again: each provider takes each request, and gets back
what it has signed, however the replies went to the client."""

from __future__ import annotations

import json
from typing import Any

from anthropic.types import MessageParam

from native_api.dialects import DIALECTS
from native_api.inbound.base import ParsedRequest
from tests.dialects.strict_providers import PNG, AnthropicProvider, StrictProvider, as_client
from tests.dialects.test_moving import build_providers
from tests.inbound.contexts import context_of
from tests.inbound.messages.requests import MESSAGES, Json
from tests.sdk_types import check_type

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
TOOL = {
    "name": "look",
    "description": "Look at a place.",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
}


class ClaudeOnBedrock(AnthropicProvider):
    """Messages reach it by InvokeModel, whose body is Anthropic's."""

    dialect = "bedrock"

    def check_types(self, body: Json) -> None:
        frame = {"anthropic_version", "anthropic_beta"}
        super().check_types({name: value for name, value in body.items() if name not in frame})


def list_providers() -> list[StrictProvider]:
    return [
        ClaudeOnBedrock("bedrock", provider.target.model)
        if provider.dialect == "bedrock"
        else provider
        for provider in build_providers()
    ]


def test_a_conversation_survives_every_move() -> None:
    providers = list_providers()
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "Like this one."}, IMAGE]}
    ]
    for provider in [*providers, *providers]:
        try:
            messages.append(take_turn(provider, messages))
        except Exception as error:
            error.add_note(f"The provider is {provider}, message {len(messages)}.")
            raise
        check_type(MessageParam, messages[-1])
        calls = [block for block in messages[-1]["content"] if block["type"] == "tool_use"]
        content = [{"type": "text", "text": "It is green."}, IMAGE]
        result = {"type": "tool_result", "tool_use_id": calls[0]["id"], "content": content}
        messages.append({"role": "user", "content": [result]})
    assert all(provider.signatures for provider in providers[:8])


def take_turn(provider: StrictProvider, messages: list[Any]) -> Json:
    """The model's turn, as the client sends it back."""
    request = {
        "model": "m",
        "max_tokens": 20_000,
        "system": "You look at places.",
        "messages": messages,
        "tools": [TOOL],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }
    parsed = MESSAGES.parse(as_client(request), context_of())
    assert parsed.dropped_fields == []
    reply = answer(provider, parsed, len(messages))
    return {"role": "assistant", "content": as_client(reply)["content"]}


def answer(provider: StrictProvider, parsed: ParsedRequest, number: int) -> Json:
    """The message of this provider: passed on if it speaks this API's wire, else translated."""
    dialect, client_body = DIALECTS[provider.dialect], parsed.client_body
    assert client_body is not None
    forwarder = dialect.forwarder(client_body.wire, provider.target)
    if forwarder is not None:
        body = forwarder.forward(client_body.body, provider.target).body
        sent = provider.answer(as_client(body))
        return forward(parsed, forwarder.forward_reply(sent, provider.target))
    body = dialect.request(client_body.unified, provider.target).body
    reply = dialect.response(provider.answer(as_client(body)), provider.target)
    for call in reply["choices"][0]["message"]["tool_calls"]:
        # The gateway fills in the ids that a wire does not have.
        call["id"] = call["id"] or f"call_{number}"
    return as_json(MESSAGES.reply(parsed, reply))


def forward(parsed: ParsedRequest, body: Any) -> Json:
    return as_json(MESSAGES.forward(parsed, body))


def as_json(content: bytes) -> Json:
    read: Json = json.loads(content)
    return read
