"""The wires the gateway speaks. One line per wire."""

from __future__ import annotations

from native_api.dialects.anthropic import Anthropic
from native_api.dialects.base import Dialect
from native_api.dialects.bedrock import Bedrock
from native_api.dialects.cohere import Cohere
from native_api.dialects.gemini import Gemini
from native_api.dialects.ollama import Ollama
from native_api.dialects.openai import OpenAI

DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "cohere": Cohere(),
    "ollama": Ollama(),
}
