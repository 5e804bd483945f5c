"""Recorded bodies that providers accepted, if the recordings are available: an equivalent unified
request becomes an equivalent body, and a model's turn is sent back unchanged.
"""

from __future__ import annotations

import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Provider, Quirks, Target
from tests.cases import for_each
from tests.corpus_files import complete, failed, find_wire, needs_corpus, select
from tests.corpus_requests import normalize_body, read_chat_request, read_responses_request
from tests.issued import mark_chat

pytestmark = needs_corpus

READERS = {"openai": read_chat_request, "openai_responses": read_responses_request}

QUIRKS = {
    "mistral": Quirks(
        renamed={"seed": "random_seed"},
        reasoning_field="thinking",
        file_part="document_url",
        call_id_length=9,
        user_after_tools=False,
    ),
    "groq": Quirks(reasoning_field="reasoning"),
    "cerebras": Quirks(reasoning_field="reasoning"),
    "deepseek": Quirks(reasoning_field="reasoning_content"),
    "openrouter": Quirks(
        reasoning_field="reasoning",
        extensions=frozenset({"cache_control", "file_url", "reasoning_details"}),
    ),
    "zai": Quirks(reasoning_field="reasoning_content"),
}

UNSUPPORTED_PART = "video_url"
"""A part that the unified request does not have."""


def accepted(recording: dict[str, Any]) -> bool:
    return (
        not failed(recording)
        and find_wire(recording) in READERS
        and UNSUPPORTED_PART not in json.dumps(recording["request"])
    )


def build_target(recording: dict[str, Any]) -> Target:
    vendor = recording["provider"]
    provider = Provider(
        vendor,
        find_wire(recording),
        "https://api.example/v1",
        quirks=QUIRKS.get(vendor, Quirks()),
        own_account=True,
    )
    return Target(provider, recording["request"]["model"])


@for_each(select(accepted))
def test_an_equivalent_request_becomes_the_accepted_body(recording: dict[str, Any]) -> None:
    wire = find_wire(recording)
    dialect, target = DIALECTS[wire], build_target(recording)
    written = READERS[wire](recording["request"], recording["provider"])
    chat, left_out = ChatCompletionSerializer().check(
        mark_chat(written, dialect.issuer(target), wire)
    )
    request = dialect.request(chat, target)
    assert normalize_body(request.body) == normalize_body(recording["request"])
    assert set(recording["request"].get("include", ())) <= set(request.body.get("include", ()))
    assert (request.omitted, left_out) == ((), [])


@for_each(select(lambda recording: complete(recording) and find_wire(recording) in READERS))
def test_a_client_can_send_back_a_reply(recording: dict[str, Any]) -> None:
    reply: Any = DIALECTS[find_wire(recording)].response(recording["body"], build_target(recording))
    message = json.loads(json.dumps(reply["choices"][0]["message"]))
    if any(value for name, value in message.items() if name != "role"):
        ChatCompletionSerializer().check(
            {"model": "x", "messages": [{"role": "user", "content": "Hi"}, message]}
        )


@for_each(
    select(lambda recording: complete(recording) and find_wire(recording) == "openai_responses")
)
def test_a_turn_is_sent_back_unchanged(recording: dict[str, Any]) -> None:
    output = json.loads(json.dumps(recording["body"]["output"]))
    dialect, target = DIALECTS["openai_responses"], build_target(recording)
    message: Any = dialect.response(recording["body"], target)["choices"][0]["message"]
    chat: Any = {
        "model": "x",
        "messages": [{"role": "user", "content": "Hi"}, message],
        "store": True,
    }
    if output:
        chat, _ = ChatCompletionSerializer().check(json.loads(json.dumps(chat)))
    sent = dialect.request(chat, target).body["input"][1:]
    assert [normalize_item(item) for item in sent] == [normalize_item(item) for item in output]


def normalize_item(item: dict[str, Any]) -> Any:
    """An item without what does not matter: of a message only its text and phase, no call ids."""
    if item.get("type", "message") != "message":
        dropped = (
            {"status", "id"}
            if item["type"] == "function_call"
            else {"status"}
            if item["type"] == "reasoning"
            else set()
        )
        return {
            name: value
            for name, value in item.items()
            if name not in dropped and value not in (None, [])
        }
    content = item["content"]
    text = (
        content
        if isinstance(content, str)
        else "".join(part.get("text") or part["refusal"] for part in content)
    )
    return text, item.get("phase")
