"""Requests to real models at real vendors, for the tests of what models refuse or need."""

from __future__ import annotations

from typing import Any

from native_api.catalog.model_rules import read_rules
from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.types import Json, Provider, Target, UpstreamRequest

HELLO: list[Json] = [{"role": "user", "content": "a"}]
TOOL: Json = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPTIONS = {"region": "us-east-1", "endpoint": "x", "project": "p", "location": "us"}


def make_target(preset: str, model: str, dialect: str = "") -> Target:
    """A target at a known vendor; "" for a provider without a preset."""
    if not preset:
        return Target(Provider("local", dialect or "openai", "http://127.0.0.1:8080/v1"), model)
    row = PRESETS[preset]
    provider = Provider(
        preset,
        dialect or row.dialect,
        "https://api.example/v1",
        quirks=row.quirks,
        options=OPTIONS if row.options else {},
        vendor=preset,
        model_overrides=read_rules(row.model_rules),
    )
    return Target(provider, model)


def ask(preset: str, model: str, **fields: Any) -> UpstreamRequest:
    target = make_target(preset, model, fields.pop("dialect", ""))
    chat: Any = {"model": "x", "messages": HELLO, **fields}
    return DIALECTS[target.provider.dialect].request(chat, target)


def tool_step(**reasoning: Any) -> list[Json]:
    """A conversation that goes on after a call."""
    return [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL], **reasoning},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
