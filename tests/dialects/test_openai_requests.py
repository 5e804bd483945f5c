"""Bodies that providers accepted, where they are at hand: a unified request of the same meaning
becomes an equivalent body.

And a model's turn, answered through a client, goes back as it came.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Provider, Quirks, Target
from tests.corpus_requests import essence, unified_chat, unified_responses
from tests.test_corpus import FILES, recordings, wire_of

pytestmark = pytest.mark.skipif(
    not FILES, reason="The recordings are not beside this repository (../shared/corpus)."
)

READERS = {"openai": unified_chat, "openai_responses": unified_responses}

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

UNSAYABLE = "video_url"
"""A part that the unified request does not have."""


def accepted() -> list[Any]:
    found = [case for stream in (False, True) for case in recordings(stream)]
    return [
        case
        for case in found
        if wire_of(case.values[0]) in READERS
        and UNSAYABLE not in json.dumps(case.values[0]["request"])
    ]


def target_for(recording: dict[str, Any]) -> Target:
    vendor = recording["provider"]
    provider = Provider(
        vendor,
        wire_of(recording),
        "https://api.example/v1",
        quirks=QUIRKS.get(vendor, Quirks()),
        own_account=True,
    )
    return Target(provider, recording["request"]["model"])


@pytest.mark.parametrize("recording", accepted())
def test_what_a_provider_accepted_is_what_is_sent(recording: dict[str, Any]) -> None:
    wire = wire_of(recording)
    chat, left_out = ChatCompletionSerializer().check(
        READERS[wire](recording["request"], recording["provider"])
    )
    request = DIALECTS[wire].request(chat, target_for(recording))
    assert essence(request.body) == essence(recording["request"])
    assert set(recording["request"].get("include", ())) <= set(request.body.get("include", ()))
    assert (request.omitted, left_out) == ((), [])


@pytest.mark.parametrize(
    "recording", [case for case in recordings(stream=False) if wire_of(case.values[0]) in READERS]
)
def test_a_client_can_send_back_the_message_it_got(recording: dict[str, Any]) -> None:
    reply: Any = DIALECTS[wire_of(recording)].response(recording["body"], target_for(recording))
    message = json.loads(json.dumps(reply["choices"][0]["message"]))
    if any(value for name, value in message.items() if name != "role"):
        ChatCompletionSerializer().check(
            {"model": "x", "messages": [{"role": "user", "content": "Hi"}, message]}
        )


@pytest.mark.parametrize(
    "recording",
    [case for case in recordings(stream=False) if wire_of(case.values[0]) == "openai_responses"],
)
def test_a_turn_goes_back_as_it_came(recording: dict[str, Any]) -> None:
    output = json.loads(json.dumps(recording["body"]["output"]))
    dialect, target = DIALECTS["openai_responses"], target_for(recording)
    message: Any = dialect.response(recording["body"], target)["choices"][0]["message"]
    chat: Any = {
        "model": "x",
        "messages": [{"role": "user", "content": "Hi"}, message],
        "store": True,
    }
    if output:
        chat, _ = ChatCompletionSerializer().check(json.loads(json.dumps(chat)))
    sent = dialect.request(chat, target).body["input"][1:]
    assert [comparable(item) for item in sent] == [comparable(item) for item in output]


def comparable(item: dict[str, Any]) -> Any:
    """An item as it means: a message is its text and phase, a call needs no id of its own."""
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
