"""Bodies of clients of Messages for tests of their forwarding, and how they are forwarded."""

from __future__ import annotations

import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.shared.memo import freeze
from native_api.types import Provider, Target

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
TEXT: dict[str, Any] = {"type": "text", "text": "Ho", "citations": None}
CALL: dict[str, Any] = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "no.such/name at 'other' wires",
    "input": {"file_id": "file_1"},
    "caller": {"type": "direct"},
}
RESULT: dict[str, Any] = {
    "type": "tool_result",
    "tool_use_id": "toolu_1",
    "content": "ok",
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
}
THINKING: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED: dict[str, Any] = {"type": "redacted_thinking", "data": "c2VjcmV0"}
TOOL: dict[str, Any] = {
    "name": "f",
    "input_schema": {"properties": {"conversation_id": {"type": "string"}, "model": {}}},
}
WRITTEN: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 32000,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1a2b3;"},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        USER,
        {"role": "assistant", "content": [TEXT, CALL]},
        {"role": "user", "content": [RESULT, {"type": "of_tomorrow", "mood": "calm"}]},
        {"role": "system", "content": "In the middle."},
        {"role": "user", "content": []},
    ],
    "tools": [
        TOOL,
        {"type": "custom", **TOOL, "strict": True},
        {"type": "web_search_20260209", "name": "web_search"},
        {"type": "of_tomorrow", "strength": 3},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": '{"session_id": "s"}'},
    "service_tier": "auto",
    "temperature": None,
    "diagnostics": {"previous_message_id": "m"},
    "weather": {"sky": "blue"},
    "stream": True,
    "betas": ["claude-code-20250219", "of-tomorrow-2027-01-01"],
}
"""With fields, betas, blocks and tools that nobody knows yet."""

VERTEX = {"project": "p", "location": "global"}
HOSTS = ("anthropic", "anthropic_vertex", "bedrock", "anthropic_bedrock")


def make_target(model: str = "claude-opus-4-8", dialect: str = "anthropic", **rest: Any) -> Target:
    if "bedrock" in dialect:
        model = f"us.anthropic.{model}-v1:0"
    provider = Provider("p", dialect, "https://api.example/v1", options=VERTEX, **rest)
    return Target(provider, model)


def forward(body: dict[str, Any], target: Target | None = None) -> Any:
    """The upstream request. The body is frozen: a change would raise."""
    target = target or make_target()
    forwarder = DIALECTS[target.provider.dialect].forwarder("anthropic", target)
    assert forwarder is not None
    written = {"model": "claude", "max_tokens": 9000, "messages": [USER], **body}
    return forwarder.forward(freeze(written), target)


def send(body: dict[str, Any], target: Target | None = None) -> Any:
    return json.loads(forward(body, target).content)


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
