"""What real clients send, as logged in 2026-11 from Codex CLI 0.171, openai-agents 0.24, AI SDK 6,
pydantic-ai 2.68, LangChain 1 and openai-python 3.57: it is taken as it is, every wire gets it, and
the unified request fits OpenAI's own types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from openai.types.chat import completion_create_params

from native_api.dialects.shared.issuers import MARKED_MEMBERS
from native_api.exceptions import UnsupportedField
from tests.cases import for_each
from tests.dialects.request_targets import TARGETS, build_request
from tests.inbound.contexts import context_of
from tests.inbound.responses.request_reading import read_body, unify
from tests.sdk_types import check_type

CONTEXT = context_of()
SCHEMA = {
    "type": "object",
    "properties": {"cmd": {"type": "array", "items": {"type": "string"}}},
    "required": ["cmd"],
    "additionalProperties": False,
}


def text(kind: str, words: str) -> dict[str, Any]:
    return {"type": kind, "text": words}


def message(role: str, words: str, **members: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [text(kind, words)], **members}


def function(name: str, **members: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": "Does it.",
        "strict": False,
        "parameters": SCHEMA,
        **members,
    }


SIGNATURE = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "S",
    "format": "anthropic",
    "index": 0,
    "issued_by": "anthropic",
}

CODEX_FIRST = {
    "model": "m",
    "input": [
        message("developer", "<permissions>", id="msg_0"),
        message("user", "<environment_context>", id="msg_1"),
        message("user", "Run echo hi", id="msg_2"),
    ],
    "tools": [
        function("exec_command"),
        function("update_plan"),
        {
            "type": "namespace",
            "name": "mcp__hub",
            "description": "Tools in the mcp__hub namespace.",
            "tools": [function("search")],
        },
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199",
    "client_metadata": {"x-codex-installation-id": "1"},
}
CODEX_RESUMED = {
    **CODEX_FIRST,
    "tools": [
        *CODEX_FIRST["tools"],  # type: ignore[misc]
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Edits files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
        },
    ],
    "input": [
        *CODEX_FIRST["input"],  # type: ignore[misc]
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [text("summary_text", "Hm.")],
            "content": None,
            "encrypted_content": CONTEXT.seal.seal({"message": {"reasoning_details": [SIGNATURE]}}),
        },
        message("assistant", "I run it.", id="msg_3", phase="commentary"),
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "name": "exec_command",
            "arguments": '{"cmd":["echo","hi"]}',
            "call_id": "call_1",
        },
        {
            "type": "function_call",
            "id": "fc_2",
            "name": "search",
            "namespace": "mcp__hub",
            "arguments": '{"cmd":[]}',
            "call_id": "call_2",
        },
        {
            "type": "custom_tool_call",
            "id": "ctc_1",
            "name": "apply_patch",
            "input": "*** Begin Patch",
            "call_id": "call_3",
        },
        {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "hi"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [text("input_text", "found")],
        },
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "Done."},
        message("assistant", "hi", id="msg_4"),
        message("user", "again", id="msg_5"),
    ],
}
AGENTS_SDK = {
    "model": "m",
    "instructions": "You are helpful.",
    "include": [],
    "stream": False,
    "input": [
        {"role": "user", "content": "What is the weather?"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "get_weather",
            "arguments": "{}",
            "status": "completed",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ],
    "tools": [function("get_weather", strict=True)],
    "reasoning": {"effort": "low", "summary": None},
    "text": {
        "verbosity": "low",
        "format": {"type": "json_schema", "name": "final", "schema": SCHEMA, "strict": True},
    },
    "previous_response_id": None,
    "conversation": None,
    "metadata": None,
    "truncation": None,
}
AI_SDK = {
    "model": "m",
    "input": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [text("input_text", "Hi")]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [text("summary_text", "Hm.")],
            "encrypted_content": CONTEXT.seal.seal({"message": {"reasoning_details": [SIGNATURE]}}),
        },
        {"role": "assistant", "content": [text("output_text", "Hello")], "id": "msg_1"},
        {"role": "user", "content": [text("input_text", "And now?")]},
    ],
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "tools": [function("f", strict=True)],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_object"}},
    "stream": True,
}
PYDANTIC_AI = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "Hi"},
        message("assistant", "Hello"),
        {"role": "user", "content": "And now?"},
    ],
    "stream": False,
    "tools": [function("f")],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "max_output_tokens": 100,
    "temperature": 0.5,
    "reasoning": {"effort": "low", "summary": "detailed"},
    "include": ["reasoning.encrypted_content"],
}
OPENAI_PYTHON = {"model": "m", "input": "Hi", "temperature": 1, "top_p": 1, "user": "u"}

CLIENTS: dict[str, Any] = {
    "Codex, first": CODEX_FIRST,
    "Codex, resumed": CODEX_RESUMED,
    "Agents SDK": AGENTS_SDK,
    "AI SDK": AI_SDK,
    "pydantic-ai": PYDANTIC_AI,
    "openai-python": OPENAI_PYTHON,
}
OURS = frozenset({"conversation_id", "fallbacks", "provider_options", "tier", "reasoning"})
OUR_MEMBERS = MARKED_MEMBERS - {"tool_calls"} | {"reasoning_content"}


def list_clients() -> Iterator[tuple[str, Any]]:
    return iter(CLIENTS.items())


def list_targets() -> Iterator[tuple[str, Any]]:
    for client, written in CLIENTS.items():
        for name, target in TARGETS.items():
            yield f"{client} at {name}", (written, target)


@for_each(list_clients)
def test_nothing_is_added_to_what_was_written(written: Any) -> None:
    body = read_body(CONTEXT, **written).body
    assert {name: body[name] for name in body if name != "input"} == {
        name: written[name] for name in written if name != "input"
    }
    assert len(body["input"]) == len(written["input"])


@for_each(list_clients)
def test_the_unified_request_fits_the_types_of_openai(written: Any) -> None:
    unified, _ = unify(CONTEXT, **written)
    chat = {name: unified[name] for name in unified if name not in OURS}
    chat["messages"] = [
        {name: value for name, value in message.items() if name not in OUR_MEMBERS}
        for message in chat["messages"]
    ]
    kind = (
        completion_create_params.CompletionCreateParamsStreaming
        if chat.get("stream")
        else completion_create_params.CompletionCreateParamsNonStreaming
    )
    check_type(kind, chat)


@for_each(list_targets)
def test_every_target_gets_it(case: tuple[Any, Any]) -> None:
    written, target = case
    unified, _ = unify(CONTEXT, **written)
    try:
        request = build_request(target, *unified.pop("messages"), **unified)
    except UnsupportedField as error:
        # Cohere has either tools or a schema, Bedrock no schemas for some models.
        assert error.path.startswith(("response_format", "tool_choice"))  # noqa: PT017
        return
    assert "nseal1." not in request.content.decode()
    assert "restored" not in json.loads(request.content)


def test_a_signature_reaches_the_provider_that_gave_it() -> None:
    for written in (CODEX_RESUMED, AI_SDK):
        unified, _ = unify(CONTEXT, **written)
        messages = unified.pop("messages")
        request = build_request(TARGETS["anthropic"], *messages, **unified)
        assert '"signature":"S"' in request.content.decode()
        request = build_request(TARGETS["gemini"], *messages, **unified)
        assert '"S"' not in request.content.decode()
        assert "messages.reasoning_details" in request.omitted


def test_what_codex_loses_elsewhere_is_reported() -> None:
    assert unify(CONTEXT, **CODEX_FIRST)[1] == [
        "tools.namespace.description",
        "tools.web_search",
        "client_metadata",
    ]
    assert unify(CONTEXT, **CODEX_RESUMED)[1] == [
        "tools.namespace.description",
        "tools.web_search",
        "tools.format",
        "input.phase",
        "client_metadata",
    ]
