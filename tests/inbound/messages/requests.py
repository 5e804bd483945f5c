"""Requests that clients of the Messages API send, and how tests read them."""

from __future__ import annotations

from typing import Any

from native_api.inbound.anthropic import MessagesFormat
from native_api.inbound.base import ParsedRequest
from tests.inbound.contexts import context_of

Json = dict[str, Any]
HELLO = {"role": "user", "content": "Hi"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
MESSAGES = MessagesFormat()

BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,"
    "mid-conversation-system-2026-06-01,effort-2025-11-24,context-1m-2025-08-07"
)


def build(**fields: Any) -> Json:
    return {"model": "m", "max_tokens": 100, "messages": [HELLO], **fields}


def parse(request: Json | None = None, **fields: Any) -> ParsedRequest:
    return MESSAGES.parse(build(**fields) if request is None else request, context_of())


def unify(**fields: Any) -> Any:
    """The unified request of these fields."""
    return unify_all(**fields)[0]


def unify_all(request: Json | None = None, **fields: Any) -> tuple[Any, list[str]]:
    """The unified request, and what it leaves out."""
    client_body = parse(request, **fields).client_body
    assert client_body is not None
    return client_body.translate(), client_body.omitted


def talk(*messages: Json) -> list[Json]:
    """The unified messages of a conversation."""
    unified: list[Json] = unify(messages=list(messages))["messages"]
    return unified


def claude_code(tools: int = 24) -> Json:
    """What Claude Code 2.1.197 sends first, and after a call: instructions with a line that changes,
    thinking that a provider of another wire made, and instructions in the middle."""
    description = "Runs what it is given, and says what came of it. " * 90
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"command": {"type": "string", "description": "What to run."}},
        "required": ["command"],
        "additionalProperties": False,
    }
    cached = {"cache_control": {"type": "ephemeral"}}
    return {
        "model": "claude-opus-4-8",
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {
                "type": "text",
                "text": "x-anthropic-billing-header: cc_version=2.1.197.a1b; cch=0f3;",
            },
            {"type": "text", "text": "You are a coding agent.", **cached},
            {"type": "text", "text": "Be careful.", **cached},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Run echo hi", **cached}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "I should run it.", "signature": ""},
                    {"type": "text", "text": "I run it."},
                    {
                        "type": "tool_use",
                        "id": "call_abc123",
                        "name": "tool_0",
                        "input": {"command": "echo hi"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_abc123",
                        "content": "hi",
                        "is_error": False,
                        **cached,
                    }
                ],
            },
            {"role": "system", "content": "Say what you did.", "output_config": {"effort": "low"}},
        ],
        "tools": [
            {"name": f"tool_{number}", "description": description, "input_schema": schema}
            for number in range(tools)
        ],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": '{"device_id":"0af1","session_id":"c1b2"}'},
    }
