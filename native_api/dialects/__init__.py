"""The wires that the gateway speaks to providers: one line per wire."""

from __future__ import annotations

from native_api.dialects.anthropic.dialect import Anthropic
from native_api.dialects.anthropic.vertex import AnthropicVertex
from native_api.dialects.base import Dialect
from native_api.dialects.bedrock.dialect import Bedrock
from native_api.dialects.cohere.dialect import Cohere
from native_api.dialects.gemini.dialect import Gemini
from native_api.dialects.ollama.dialect import Ollama
from native_api.dialects.openai_chat.dialect import OpenAI
from native_api.dialects.openai_responses.dialect import OpenAIResponses

DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(),
    "openai_responses": OpenAIResponses(),
    "anthropic": Anthropic(),
    "anthropic_vertex": AnthropicVertex(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "cohere": Cohere(),
    "ollama": Ollama(),
}
