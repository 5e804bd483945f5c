"""Details of requests that are the same on several wires: results that look like schemas, summaries
that nobody asked for, and the blocks that clients write themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from native_api.exceptions import UnsupportedField
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_body, read_turns

HI = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}


# --- results that hold a JSON schema -------------------------------------------------------------

SCHEMA = {"parameters": {"$defs": {"H": {"type": "string"}}, "v": {"$ref": "#/$defs/H"}}}


def build_result(name: str, content: str) -> Any:
    result = {"role": "tool", "tool_call_id": "c1", "content": content}
    turn = build_body(name, HI, ASKS, result)["contents"][-1]
    return turn["parts"][0]["functionResponse"]["response"]


@each(
    "name, content",
    [
        (name, content)
        for name in ("gemini", "vertex")
        for content in (
            json.dumps(SCHEMA),
            json.dumps([SCHEMA]),
            json.dumps({"a": [[{"b": {"$ref": 1}}]]}),
            '{"\\u0024ref": "x"}',
        )
    ],
)
def test_a_result_with_a_reference_is_text_for_google(name: str, content: str) -> None:
    assert build_result(name, content) == {"output": content}


def test_a_result_that_only_mentions_a_reference_stays_an_object() -> None:
    assert build_result("gemini", '{"a": "$ref"}') == {"a": "$ref"}


# --- the summary of reasoning --------------------------------------------------------------------


def build_reasoning(asked: dict[str, Any], **options: Any) -> Any:
    target = TARGETS["responses"]
    configured = replace(target, provider=replace(target.provider, options=options))
    return build_body(configured, HI, **asked).get("reasoning")


@pytest.mark.parametrize(
    ("asked", "options", "expected"),
    [
        ({"reasoning_effort": "low"}, {}, {"effort": "low"}),
        (
            {"reasoning_effort": "low"},
            {"reasoning_summary": "auto"},
            {"effort": "low", "summary": "auto"},
        ),
        ({"reasoning_effort": "none"}, {"reasoning_summary": "auto"}, {"effort": "none"}),
        ({}, {"reasoning_summary": "auto"}, None),
        (
            {"reasoning_effort": "low", "reasoning": {"summary": "detailed"}},
            {"reasoning_summary": "auto"},
            {"effort": "low", "summary": "detailed"},
        ),
        (
            {
                "reasoning_effort": "low",
                "provider_options": {"openai_responses": {"reasoning": {"summary": "auto"}}},
            },
            {},
            {"effort": "low", "summary": "auto"},
        ),
    ],
)
def test_a_summary_is_asked_for_only_if_somebody_wants_it(
    asked: dict[str, Any], options: dict[str, Any], expected: Any
) -> None:
    """https://github.com/OpenHands/software-agent-sdk/issues/987: OpenAI answers 400 to
    organizations that are not verified."""
    assert build_reasoning(asked, **options) == expected


# --- blocks that a client writes -----------------------------------------------------------------

OWN_BLOCKS = {
    "anthropic": ("anthropic", {"type": "text", "text": "own"}),
    "anthropic_vertex": ("anthropic", {"type": "text", "text": "own"}),
    "bedrock claude": ("bedrock", {"guardContent": {"text": {"text": "own"}}}),
    "gemini": ("gemini", {"text": "own"}),
    "cohere": ("cohere", {"type": "text", "text": "own"}),
    "vllm": ("openai", {"type": "video_url", "video_url": {"url": "https://a.example/v.mp4"}}),
    "responses": ("openai_responses", {"type": "input_text", "text": "own"}),
}


@each("name", OWN_BLOCKS)
def test_a_block_that_a_client_wrote_is_sent(name: str) -> None:
    form, block = OWN_BLOCKS[name]
    own = [{"format": form, "block": block}]
    turn = read_turns(build_body(name, {**HI, "provider_content": own}))[0]
    assert block in (turn.get("content") or turn["parts"])


def test_an_item_that_a_client_wrote_stands_beside_its_message() -> None:
    item = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}
    own = [{"format": "openai_responses", "block": item}]
    assert build_body("responses", {**HI, "provider_content": own})["input"] == [HI, item]


@each("name", TARGETS)
def test_a_block_for_another_wire_is_refused(name: str) -> None:
    own = [{"format": "elsewhere", "block": {"text": "own"}}]
    with pytest.raises(UnsupportedField, match="provider_content"):
        build_body(name, {**HI, "provider_content": own})


def test_ollama_has_no_blocks() -> None:
    own = [{"format": "ollama", "block": {"text": "own"}}]
    with pytest.raises(UnsupportedField, match="provider_content"):
        build_body("ollama", {**HI, "provider_content": own})


# --- tools in the options for Bedrock ------------------------------------------------------------

OPTION_TOOLS = [
    {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}},
    {"systemTool": {"name": "nova_code_interpreter"}},
]


@each("name", ["bedrock claude", "bedrock nova", "bedrock mistral"])
@each("tools", [[], [{"type": "function", "function": {"name": "f"}}]])
def test_tools_in_the_options_are_tools_of_the_conversation(name: str, tools: Any) -> None:
    """bedrock-77cf42667212 and -efe969151e21 of pydantic-ai: the only way to Amazon's own tools."""
    result = {"role": "tool", "tool_call_id": "c1", "content": "done"}
    options = {"bedrock": {"toolConfig": {"tools": OPTION_TOOLS}}}
    body = build_body(name, HI, ASKS, result, provider_options=options, tools=tools)
    assert [next(iter(turn["content"][0])) for turn in body["messages"]] == [
        "text",
        "toolUse",
        "toolResult",
    ]
    assert body["toolConfig"] == {"tools": OPTION_TOOLS}
    assert "additionalModelRequestFields" not in body


@each("name", ["openai", "vllm", "mistral", "cohere", "ollama"])
def test_tools_in_the_options_are_added_to_the_requests_own(name: str) -> None:
    def tool(called: str, **more: Any) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {}}
        function = {"name": called, "parameters": parameters, **more}
        return {"type": "function", "function": function}

    own = [tool("f"), tool("g", description="Mine.")]
    added = [tool("f", description="Theirs."), {"type": "browser_search"}]
    options = {TARGETS[name].provider.name: {"tools": added}}
    body = build_body(name, HI, tools=own, provider_options=options)
    assert body["tools"] == [own[1], *added]
