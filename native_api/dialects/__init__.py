"""The wires that the gateway speaks to providers: one line per wire.

A site's own dialects import what they need from here.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.anthropic.bedrock import AnthropicBedrock
from native_api.dialects.anthropic.dialect import Anthropic
from native_api.dialects.anthropic.vertex import AnthropicVertex
from native_api.dialects.base import Dialect
from native_api.dialects.bedrock.dialect import Bedrock
from native_api.dialects.cohere.dialect import Cohere
from native_api.dialects.gemini.dialect import Gemini
from native_api.dialects.ollama.dialect import Ollama
from native_api.dialects.openai_chat.dialect import OpenAI
from native_api.dialects.openai_responses.dialect import OpenAIResponses
from native_api.dialects.shared.errors import (
    build_error,
    build_truncation_error,
    find_error_detail,
    read_embedded_error,
    read_error,
)
from native_api.dialects.shared.frames import build_chunk, build_completion
from native_api.dialects.shared.gateway_owned import OwnedMembers
from native_api.dialects.shared.parts import read_parts, read_text
from native_api.dialects.shared.request_fields import read_max_tokens, read_stop_sequences
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.dialects.streams import StreamEditor, StreamParser, parse_event
from native_api.types.registry import Registry

__all__ = [
    "DIALECTS",
    "Anthropic",
    "AnthropicBedrock",
    "AnthropicVertex",
    "Bedrock",
    "Cohere",
    "Dialect",
    "Gemini",
    "Ollama",
    "OpenAI",
    "OpenAIResponses",
    "OwnedMembers",
    "StreamEditor",
    "StreamParser",
    "build_chunk",
    "build_completion",
    "build_error",
    "build_truncation_error",
    "build_usage",
    "find_error_detail",
    "parse_event",
    "read_count",
    "read_embedded_error",
    "read_error",
    "read_max_tokens",
    "read_parts",
    "read_stop_sequences",
    "read_text",
]

DIALECTS: Final[Registry[Dialect]] = Registry(
    {
        "openai": OpenAI(),
        "openai_responses": OpenAIResponses(),
        "anthropic": Anthropic(),
        "anthropic_vertex": AnthropicVertex(),
        "anthropic_bedrock": AnthropicBedrock(),
        "gemini": Gemini(),
        "bedrock": Bedrock(),
        "cohere": Cohere(),
        "ollama": Ollama(),
    }
)
"""Dialects by name: the gateway's, and the site's own of the setting DIALECTS."""
