"""One conversation with thinking, tools and images moves through all wires, turn by turn, and then
through all of them again: each provider takes each request, and gets back what it has signed."""

from __future__ import annotations

from typing import Any

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from tests.dialects.strict_providers import (
    PNG,
    AnthropicProvider,
    BedrockProvider,
    ChatProvider,
    CohereProvider,
    GeminiProvider,
    MistralProvider,
    OllamaProvider,
    ResponsesProvider,
    StrictProvider,
    VertexAnthropicProvider,
    as_client,
)

IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look at a place.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    },
}


def build_providers() -> list[StrictProvider]:
    vertex = {"project": "p", "location": "global"}
    return [
        AnthropicProvider("anthropic", "claude-sonnet-4-5"),
        AnthropicProvider("minimax", "MiniMax-M2.7"),
        VertexAnthropicProvider("vertex-anthropic", "claude-opus-4-7", **vertex),
        BedrockProvider("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        GeminiProvider("gemini", "gemini-3-pro-preview"),
        GeminiProvider("vertex", "gemini-3-pro-preview", **vertex),
        ResponsesProvider("openai", "gpt-5.4", PRESETS["openai"].quirks),
        ResponsesProvider("azure", "gpt-5.4", PRESETS["azure"].quirks),
        ChatProvider("openai-chat", "gpt-4.1", PRESETS["openai"].quirks),
        ChatProvider("deepseek", "deepseek-v4-pro", PRESETS["deepseek"].quirks),
        ChatProvider("openrouter", "google/gemini-3-pro", PRESETS["openrouter"].quirks),
        ChatProvider(
            "moonshot", "kimi-k2.6", PRESETS["moonshot"].quirks, "functions.look:{number}"
        ),
        MistralProvider(
            "mistral", "mistral-large-3", PRESETS["mistral"].quirks, "abcd0000{number}"
        ),
        CohereProvider("cohere", "command-a-reasoning-08-2025"),
        OllamaProvider("ollama", "qwen3"),
    ]


def test_a_conversation_survives_every_move() -> None:
    providers = build_providers()
    messages: list[Any] = [
        {"role": "system", "content": "You look at places."},
        {"role": "user", "content": [{"type": "text", "text": "Like this one."}, IMAGE]},
    ]
    for provider in [*providers, *providers]:
        try:
            messages.append(take_turn(provider, messages))
        except Exception as error:
            error.add_note(f"The provider is {provider}, message {len(messages)}.")
            raise
        call_id = messages[-1]["tool_calls"][0]["id"]
        content = [{"type": "text", "text": "It is green."}, IMAGE]
        messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
    assert all(provider.signatures for provider in providers[:8])


def take_turn(provider: StrictProvider, messages: list[Any]) -> Any:
    """The model's message, as the client gets it."""
    dialect = DIALECTS[provider.dialect]
    chat, _ = ChatCompletionSerializer().check(
        as_client({"model": "m", "messages": messages, "tools": [TOOL], "reasoning_effort": "low"})
    )
    request = dialect.request(chat, provider.target)
    reply = dialect.response(provider.answer(as_client(request.body)), provider.target)
    message = as_client(reply["choices"][0]["message"])
    for call in message["tool_calls"]:
        # The gateway fills in the ids that a wire does not have.
        call["id"] = call["id"] or f"call_{len(messages)}"
    return message
