"""What Bedrock's recordings do not cover: names, replies sent back, and errors in complete
replies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.eventstream import EventStreamBuffer

from native_api.dialects import DIALECTS
from native_api.dialects.bedrock.models import read_maker
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target
from native_api.upstream.decoders.aws_eventstream import AWSEventStreamDecoder

DIALECT = DIALECTS["bedrock"]
TARGET = Target(
    Provider("p", "bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
)
CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus"
RECORDINGS = [
    (path.stem, json.loads(path.read_text())) for path in sorted(CORPUS.glob("bedrock/*.json"))
]


def successful_recordings(stream: bool) -> list[Any]:
    parameters = [
        pytest.param(recording, id=name)
        for name, recording in RECORDINGS
        if recording["stream"] == stream and recording["status"] == 200
    ]
    skip = pytest.mark.skip(
        reason="The recordings are not beside this repository (../shared/corpus)."
    )
    return parameters or [pytest.param({}, id="none", marks=skip)]


# --- names ---------------------------------------------------------------------------------------


def test_names_of_documents_are_made_acceptable() -> None:
    """The service's own errors (2026-09-04) name the rule, which its model does not contain."""
    names = [
        "John's report", "invoice #123", "a&b", "report,2026", "résumé", "분기보고서",
        "Report -  Final", "a\tb", "", "x" * 300, "x" * 301,
    ]  # fmt: skip
    parts: list[Any] = [
        {"type": "file", "file": {"filename": f"{name}.pdf", "file_data": "UERG"}} for name in names
    ]
    chat: ChatRequest = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    document_names = [
        block["document"]["name"]
        for block in DIALECT.request(chat, TARGET).body["messages"][0]["content"]
        if "document" in block
    ]
    assert len(set(document_names)) == len(names)
    for name in document_names:
        assert re.fullmatch(r"[A-Za-z0-9()\[\]-]+( [A-Za-z0-9()\[\]-]+)*", name)
        assert len(name) <= 200


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("us.anthropic.claude-sonnet-4-6", "anthropic"),
        ("amazon.nova-lite-v1:0", "amazon"),
        ("zai.glm-4.7-flash", "zai"),
        ("moonshotai.kimi-k2.5", "moonshot"),
        ("us-gov.meta.llama4", "meta"),
        ("arn:aws:bedrock:us-east-1::foundation-model/mistral.mistral-large-2402-v1:0", "mistral"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-6-v1",
            "anthropic",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", ""),
        ("my-anthropic-like-model", ""),
    ],
)
def test_the_id_of_a_model_contains_its_maker(model: str, expected: str) -> None:
    assert read_maker(model) == expected


# --- recorded traffic ----------------------------------------------------------------------------


@pytest.mark.parametrize("recording", successful_recordings(stream=True))
def test_botocore_decodes_the_same_events(
    recording: dict[str, Any],
) -> None:
    raw = base64.b64decode(recording["raw_base64"])
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    botocore_events = [
        (event.headers[":event-type"], json.loads(event.payload)) for event in buffer
    ]
    events = AWSEventStreamDecoder().feed(raw)
    assert [(event.type, json.loads(event.data)) for event in events] == botocore_events


@pytest.mark.parametrize("recording", successful_recordings(stream=False))
def test_a_recorded_reply_is_sent_back_as_it_came(recording: dict[str, Any]) -> None:
    """Except unsigned reasoning, which Bedrock refuses."""
    target = Target(TARGET.provider, unquote(recording["path"].split("/")[2]))
    message = DIALECT.response(recording["body"], target)["choices"][0]["message"]
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}, message],
        "tools": build_tools(message),
    }
    content = DIALECT.request(chat, target).body["messages"][1]["content"]
    assert content == list(sendable_blocks(recording["body"]["output"]["message"]["content"]))


def build_tools(message: dict[str, Any]) -> list[Any]:
    return [
        {"type": "function", "function": {"name": call["function"]["name"]}}
        for call in message.get("tool_calls") or ()
    ]


def sendable_blocks(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in content:
        if "toolUse" in block:
            yield {
                "toolUse": {name: block["toolUse"][name] for name in ("toolUseId", "name", "input")}
            }
        elif "signature" in block.get("reasoningContent", {}).get(
            "reasoningText", {"signature": ""}
        ):
            yield block


# --- complete replies ----------------------------------------------------------------------------


def build_reply(stop_reason: str, **members: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": "Half"}]}
    return {
        "output": {"message": message},
        "stopReason": stop_reason,
        "usage": {"inputTokens": 1, "outputTokens": 2},
        **members,
    }


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_model_failed_to_write_is_an_error(reason: str) -> None:
    with pytest.raises(UpstreamError, match=f"failed to write an answer: {reason}"):
        DIALECT.response(build_reply(reason), TARGET)
    parser = DIALECT.stream(TARGET)
    text = '{"contentBlockIndex": 0, "delta": {"text": "Half"}}'
    list(parser.feed(Event("contentBlockDelta", text)))
    list(parser.feed(Event("messageStop", json.dumps({"stopReason": reason}))))
    with pytest.raises(UpstreamError, match=f"failed to write an answer: {reason}"):
        list(parser.feed(Event("metadata", '{"usage": {"inputTokens": 1, "outputTokens": 2}}')))
    assert parser.usage is not None, "its usage is recorded"
    assert parser.usage["total_tokens"] == 3


def test_a_reply_names_the_model_that_a_router_chose() -> None:
    model = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite"
    body = build_reply("end_turn", trace={"promptRouter": {"invokedModelId": model}})
    assert DIALECT.response(body, TARGET)["model"] == model


def test_a_reply_names_its_service_tier() -> None:
    body = build_reply("end_turn", serviceTier={"type": "priority"})
    assert DIALECT.response(body, TARGET)["service_tier"] == "priority"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            {
                "Output": {"__type": "com.amazon.coral.service#UnknownOperationException"},
                "Version": "1.0",
            },
            502,
            "The provider answered 404.",
        ),
        (
            {"message": "Too many requests", "__type": "ThrottlingException"},
            429,
            "The provider limits its use (429), not this gateway: Too many requests",
        ),
        ({"output": {}}, 502, "The provider's answer is not a Converse reply."),
        ([], 502, "The provider's answer is not a Converse reply."),
    ],
)
def test_an_error_with_status_200_is_an_error(body: Any, status: int, message: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECT.response(body, TARGET)
    assert (caught.value.status, caught.value.message) == (status, message)


def test_an_event_that_is_not_json_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="not JSON"):
        list(DIALECT.stream(TARGET).feed(Event("contentBlockDelta", "{")))
    with pytest.raises(UpstreamError, match="500: plain words"):
        list(DIALECT.stream(TARGET).feed(Event("internalServerException", "plain words")))
