"""The scripted wires. One line each."""

from __future__ import annotations

from tests.clients.wires.anthropic import AnthropicVertexWire, AnthropicWire
from tests.clients.wires.base import Wire
from tests.clients.wires.bedrock import BedrockWire
from tests.clients.wires.cohere import CohereWire
from tests.clients.wires.gemini import GeminiWire
from tests.clients.wires.ollama import OllamaWire
from tests.clients.wires.openai import OpenAIWire
from tests.clients.wires.openai_responses import OpenAIResponsesWire

WIRES: dict[str, type[Wire]] = {
    "openai": OpenAIWire,
    "anthropic": AnthropicWire,
    "anthropic_vertex": AnthropicVertexWire,
    "gemini": GeminiWire,
    "cohere": CohereWire,
    "ollama": OllamaWire,
    "openai_responses": OpenAIResponsesWire,
    "bedrock": BedrockWire,
}
