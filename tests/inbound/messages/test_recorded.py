"""Recorded requests to Anthropic, if they are available: each is accepted and goes on as it is, and
its conversation comes back from the unified request, but for what only Anthropic has."""

from __future__ import annotations

import json
from typing import Any

from native_api.access.sealing import CallerSeal
from native_api.dialects import DIALECTS
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target
from tests.cases import for_each
from tests.corpus_files import find_wire, needs_corpus, select
from tests.inbound.contexts import ALICE, context_of
from tests.inbound.messages.requests import MESSAGES, Json

pytestmark = needs_corpus

SEAL = CallerSeal(ALICE)
SIGNED = {"thinking": "signature", "redacted_thinking": "data"}
CHANGED = frozenset(
    {"tool_reference", "server_tool_use", "tool_addition", "document", "container_upload"}
)
"""Types of blocks that become others, or are left out and reported."""

requests = select(
    lambda recording: recording["status"] == 200 and find_wire(recording) == "anthropic"
)


def seal(request: Any) -> Any:
    """The request of a client that got its signatures from the gateway."""
    sealed = json.loads(json.dumps(request))
    for block in iterate_blocks(sealed):
        member = SIGNED.get(block["type"], "")
        if block.get(member):
            block[member] = SEAL.seal({"issued_by": "anthropic", "value": block[member]})
    return sealed


def iterate_blocks(request: Any) -> Any:
    for turn in request["messages"]:
        if isinstance(turn["content"], list):
            yield from turn["content"]


def mark(request: Any) -> Any:
    """The request as a dialect gets it."""
    marked = json.loads(json.dumps(request))
    for block in iterate_blocks(marked):
        if block["type"] in SIGNED:
            block["issued_by"] = "anthropic"
    return marked


@for_each(requests)
def test_recorded_requests_go_on_as_they_are(recording: Any) -> None:
    parsed = MESSAGES.parse(seal(recording["request"]), context_of())
    assert parsed.dropped_fields == []
    assert parsed.client_body is not None
    assert parsed.client_body.body == mark(recording["request"])


@for_each(requests)
def test_recorded_conversations_come_back(recording: Any) -> None:
    request = recording["request"]
    client_body = MESSAGES.parse(seal(request), context_of()).client_body
    assert client_body is not None
    provider = Provider("anthropic", "anthropic", "https://api.example/v1", own_account=True)
    try:
        chat = client_body.translate()
    except UnsupportedField:
        assert needs_anthropic(request)
        return
    body = DIALECTS["anthropic"].request(chat, Target(provider, request["model"])).body
    if not says_what_changes(request):
        assert normalize(body["messages"]) == normalize(request["messages"])


def needs_anthropic(request: Any) -> bool:
    """Whether the answer depends on what only Anthropic has."""
    types = {tool.get("type") or "custom" for tool in request.get("tools") or ()}
    own_tools = {kind for kind in types if kind.startswith(("code_execution", "web_fetch"))}
    blocks = {block["type"] for block in iterate_blocks(request)}
    return bool(own_tools or request.get("container") or "container_upload" in blocks)


def says_what_changes(request: Any) -> bool:
    """Whether the conversation has blocks of Anthropic's own, texts that follow each other, which
    the unified request joins, instructions in the middle, or a mark for all of it."""
    types = [block["type"] for block in iterate_blocks(request)]
    is_marked = bool(request.get("cache_control"))
    has_instructions = any(turn["role"] == "system" for turn in request["messages"])
    text = json.dumps(request["messages"])
    joined = any(
        [block["type"] for block in turn["content"]][:2] == ["text", "text"]
        for turn in request["messages"]
        if turn["role"] == "assistant" and isinstance(turn["content"], list)
    )
    return (
        is_marked
        or has_instructions
        or joined
        or bool(CHANGED & set(types))
        or any(f'"{kind}"' in text for kind in CHANGED)
    )


def normalize(turns: Any) -> list[Json]:
    """The turns with blocks for texts, those of one role in one, and without what is a default."""
    normalized: list[Json] = []
    for turn in turns:
        blocks = [clean(block) for block in as_blocks(turn["content"])]
        if normalized and normalized[-1]["role"] == turn["role"]:
            normalized[-1]["content"] += blocks
        else:
            normalized.append({"role": turn["role"], "content": blocks})
    return normalized


def as_blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def clean(block: Json) -> Json:
    if isinstance(block.get("content"), str) and block["type"] == "tool_result":
        block = {**block, "content": as_blocks(block["content"])}
    defaults = {"is_error": False, "caller": {"type": "direct"}}
    return {
        name: value
        for name, value in block.items()
        if value is not None and (name not in defaults or value != defaults[name])
    }
