"""One target of every wire, and of vendors that differ: a rule about requests is tested with all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.types import Provider, Target

PROJECT = {"project": "p", "location": "global"}
AMAZON = "https://bedrock-runtime.us-east-1.amazonaws.com"


def build_target(preset: str, model: str, base_url: str = "", **options: Any) -> Target:
    row = PRESETS[preset]
    return Target(
        Provider(
            preset,
            row.dialect,
            base_url or row.base_url,
            quirks=row.quirks,
            options=options,
            vendor=preset,
        ),
        model,
    )


TARGETS = {
    "anthropic": build_target("anthropic", "claude-sonnet-4-6"),
    "anthropic_vertex": build_target("vertex-anthropic", "claude-sonnet-4-6", **PROJECT),
    "bedrock claude": build_target(
        "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", AMAZON
    ),
    "bedrock nova": build_target("bedrock", "us.amazon.nova-2-lite-v1:0", AMAZON),
    "bedrock mistral": build_target("bedrock", "mistral.pixtral-large-2502-v1:0", AMAZON),
    "gemini": build_target("gemini", "gemini-3-pro"),
    "vertex": build_target("vertex", "gemini-3-pro", **PROJECT),
    "cohere": build_target("cohere", "command-a-03-2025"),
    "ollama": build_target("ollama", "qwen3"),
    "openai": build_target("openai", "gpt-4o"),
    "mistral": build_target("mistral", "mistral-medium-latest"),
    "moonshot": build_target("moonshot", "kimi-k2.6"),
    "deepseek": build_target("deepseek", "deepseek-chat"),
    "openrouter": build_target("openrouter", "anthropic/claude-sonnet-4.6"),
    "vllm": build_target("vllm", "qwen3"),
    "responses": Target(
        Provider("responses", "openai_responses", "https://api.openai.com/v1"), "gpt-5.2"
    ),
}


def find_issuer(name: str) -> str:
    """What marks the replies of a target in `TARGETS`."""
    target = TARGETS[name]
    return DIALECTS[target.provider.dialect].issuer(target)


def build_request(target: Target, *messages: Any, **fields: Any) -> Any:
    """The upstream request for these messages, whose body is a copy."""
    chat: Any = {"model": "x", "messages": list(messages), **fields}
    return DIALECTS[target.provider.dialect].request(json.loads(json.dumps(chat)), target)


def build_body(target: Target | str, *messages: Any, **fields: Any) -> Any:
    """The upstream body for these messages, at a target or at one named in `TARGETS`."""
    found = TARGETS[target] if isinstance(target, str) else target
    return json.loads(build_request(found, *messages, **fields).content)


def read_turns(body: Any) -> list[Any]:
    """The conversation of a body, whatever its wire calls it."""
    turns: list[Any] = body.get("messages") or body.get("contents") or body.get("input") or []
    return turns


def walk(value: Any) -> Iterator[Any]:
    """Every object in a value, including itself."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from walk(item)
