"""What the recordings of Bedrock cannot say: AWS's own model of the API, replies sent back,
failures of complete replies."""

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
from botocore.session import get_session

from native_api.dialects import DIALECTS
from native_api.dialects.bedrock.models import read_maker
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target
from native_api.upstream.decoders.aws_eventstream import AWSEventStreamDecoder
from tests.corpus import bedrock, check_nothing_is_lost
from tests.dialects.stream_folding import fold
from tests.test_recordings import cases

DIALECT = DIALECTS["bedrock"]
TARGET = Target(
    Provider("p", "bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
)
CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus"
REAL = [(path.stem, json.loads(path.read_text())) for path in sorted(CORPUS.glob("bedrock/*.json"))]


def real(stream: bool) -> list[Any]:
    chosen = [
        (name, told) for name, told in REAL if told["stream"] == stream and told["status"] == 200
    ]
    skip = pytest.mark.skip(
        reason="The recordings are not beside this repository (../shared/corpus)."
    )
    return [pytest.param(told, id=name) for name, told in chosen] or [
        pytest.param({}, id="none", marks=skip)
    ]


# --- AWS's own model of the API -------------------------------------------------------------------


def faults(shape: Any, value: Any, place: str = "") -> Iterator[str]:
    """Where a value is not what AWS's model of the API says, as its SDKs check it and the service
    does."""
    if getattr(shape, "is_document_type", False):
        return
    if shape.type_name == "structure":
        yield from (f"{place}.{name}: unknown" for name in value if name not in shape.members)
        yield from (
            f"{place}.{name}: missing" for name in shape.required_members if name not in value
        )
        if shape.is_tagged_union and len(value) != 1:
            yield f"{place}: one member of {', '.join(shape.members)}"
        for name in value.keys() & shape.members.keys():
            yield from faults(shape.members[name], value[name], f"{place}.{name}")
    elif shape.type_name == "list":
        yield from (
            fault
            for index, item in enumerate(value)
            for fault in faults(shape.member, item, f"{place}[{index}]")
        )
    elif shape.type_name == "map":
        yield from (
            fault
            for name, item in value.items()
            for fault in (*faults(shape.key, name, place), *faults(shape.value, item, place))
        )
    elif shape.type_name == "string":
        yield from string_faults(shape, value, place)


def string_faults(shape: Any, value: Any, place: str) -> Iterator[str]:
    rules = shape.metadata
    if not isinstance(value, str) or (rules.get("enum") and value not in rules["enum"]):
        yield f"{place}: {value!r} is none of {rules.get('enum')}"
    elif not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
        yield f"{place}: too long or too short"
    elif rules.get("pattern") and not re.fullmatch(rules["pattern"], value):
        yield f"{place}: {value!r} is not like {rules['pattern']}"


def converse() -> Any:
    return get_session().get_service_model("bedrock-runtime").operation_model("Converse")


@pytest.mark.parametrize(
    "case", [case for case in cases("request") if case.id.startswith("bedrock")]
)
def test_every_recorded_request_fits_the_model_of_the_api(case: dict[str, Any]) -> None:
    body = {"modelId": case["model"], **case["request"]["body"]}
    assert list(faults(converse().input_shape, body)) == []


def test_the_model_of_the_api_finds_faults() -> None:
    body = {
        "modelId": "m",
        "messages": [{"role": "tool", "content": [{"text": "a", "image": {}}]}],
        "system": [{"text": ""}],
        "x": 1,
    }
    assert len(list(faults(converse().input_shape, body))) == 6


def test_names_of_documents_are_what_bedrock_takes() -> None:
    """The service's own refusals (2026-09-04) name these: the rule is not in its model."""
    names = [
        "John's report",
        "invoice #123",
        "a&b",
        "report,2026",
        "résumé",
        "분기보고서",
        "Report -  Final",
        "a\tb",
        "",
        "x" * 300,
        "x" * 301,
    ]
    parts: list[Any] = [
        {"type": "file", "file": {"filename": f"{name}.pdf", "file_data": "UERG"}} for name in names
    ]
    chat: ChatRequest = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    told = [
        block["document"]["name"]
        for block in DIALECT.request(chat, TARGET).body["messages"][0]["content"]
        if "document" in block
    ]
    assert len(set(told)) == len(names)
    for name in told:
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
def test_a_models_maker_is_in_its_id(model: str, expected: str) -> None:
    assert read_maker(model) == expected


# --- real traffic ---------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", real(stream=True))
def test_botocore_reads_the_same_events_and_nothing_of_them_is_lost(
    recording: dict[str, Any],
) -> None:
    raw = base64.b64decode(recording["raw_base64"])
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    theirs = [(event.headers[":event-type"], json.loads(event.payload)) for event in buffer]
    events = AWSEventStreamDecoder().feed(raw)
    assert [(event.type, json.loads(event.data)) for event in events] == theirs
    parser = DIALECT.stream(TARGET)
    chunks = [chunk for event in events for chunk in parser.feed(event)]
    check_nothing_is_lost(
        bedrock(assembled(theirs)),
        {"choices": fold([*chunks, *parser.close()]), "usage": parser.usage},
    )


def assembled(events: list[tuple[str, Any]]) -> dict[str, Any]:
    """The complete reply that these events mean, put together without the dialect."""
    blocks: dict[int, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    for kind, told in events:
        block = blocks.setdefault(told.get("contentBlockIndex", -1), {})
        delta = told.get("delta", {})
        if kind == "contentBlockStart":
            block["toolUse"] = {**told["start"]["toolUse"], "input": ""}
        elif "text" in delta:
            block["text"] = block.get("text", "") + delta["text"]
        elif "toolUse" in delta:
            block["toolUse"]["input"] += delta["toolUse"]["input"]
        elif "reasoningContent" in delta:
            reasoning = block.setdefault("reasoningContent", {"reasoningText": {}})["reasoningText"]
            for name, piece in delta["reasoningContent"].items():
                reasoning[name] = reasoning.get(name, "") + piece
        elif kind == "metadata":
            body["usage"] = told["usage"]
    content = [blocks[index] for index in sorted(blocks) if index >= 0]
    for use in [block["toolUse"] for block in content if "toolUse" in block]:
        use["input"] = json.loads(use["input"] or "{}")
    return {**body, "output": {"message": {"content": content}}}


@pytest.mark.parametrize("recording", real(stream=False))
def test_a_real_reply_is_sent_back_as_it_came(recording: dict[str, Any]) -> None:
    """But for unsigned reasoning, which Bedrock refuses."""
    target = Target(TARGET.provider, unquote(recording["path"].split("/")[2]))
    message = DIALECT.response(recording["body"], target)["choices"][0]["message"]
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}, message],
        "tools": tools(message),
    }
    told = DIALECT.request(chat, target).body["messages"][1]["content"]
    assert told == list(wanted(recording["body"]["output"]["message"]["content"]))


def tools(message: dict[str, Any]) -> list[Any]:
    return [
        {"type": "function", "function": {"name": call["function"]["name"]}}
        for call in message.get("tool_calls") or ()
    ]


def wanted(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in content:
        if "toolUse" in block:
            yield {
                "toolUse": {name: block["toolUse"][name] for name in ("toolUseId", "name", "input")}
            }
        elif "signature" in block.get("reasoningContent", {}).get(
            "reasoningText", {"signature": ""}
        ):
            yield block


# --- complete replies -----------------------------------------------------------------------------


def reply(reason: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": "Half"}]}
    return {
        "output": {"message": message},
        "stopReason": reason,
        "usage": {"inputTokens": 1, "outputTokens": 2},
        **more,
    }


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_model_could_not_write_is_a_failure(reason: str) -> None:
    with pytest.raises(UpstreamError, match=f"failed to write an answer: {reason}"):
        DIALECT.response(reply(reason), TARGET)
    parser = DIALECT.stream(TARGET)
    list(
        parser.feed(
            Event("contentBlockDelta", '{"contentBlockIndex": 0, "delta": {"text": "Half"}}')
        )
    )
    list(parser.feed(Event("messageStop", json.dumps({"stopReason": reason}))))
    with pytest.raises(UpstreamError, match=f"failed to write an answer: {reason}"):
        list(parser.feed(Event("metadata", '{"usage": {"inputTokens": 1, "outputTokens": 2}}')))
    assert parser.usage is not None, "what it cost is known"
    assert parser.usage["total_tokens"] == 3


def test_the_model_that_a_router_chose_is_told() -> None:
    routed = reply(
        "end_turn",
        trace={
            "promptRouter": {
                "invokedModelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite"
            }
        },
    )
    assert (
        DIALECT.response(routed, TARGET)["model"]
        == "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite"
    )


def test_the_tier_that_served_is_told() -> None:
    assert (
        DIALECT.response(reply("end_turn", serviceTier={"type": "priority"}), TARGET)[
            "service_tier"
        ]
        == "priority"
    )


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
            "Too many requests",
        ),
        ({"output": {}}, 502, "The provider's answer is not a Converse reply."),
        ([], 502, "The provider's answer is not a Converse reply."),
    ],
)
def test_an_error_with_status_200(body: Any, status: int, message: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECT.response(body, TARGET)
    assert (caught.value.status, caught.value.message) == (status, message)


def test_an_event_that_is_no_json_is_a_failure() -> None:
    with pytest.raises(UpstreamError, match="not JSON"):
        list(DIALECT.stream(TARGET).feed(Event("contentBlockDelta", "{")))
    with pytest.raises(UpstreamError, match="500: plain words"):
        list(DIALECT.stream(TARGET).feed(Event("internalServerException", "plain words")))
