"""An answer that broke off is an error on every wire, whatever the server calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event
from tests.cases import each
from tests.dialects.reply_reading import make_target, read_reply, read_stream


def make_choice(reason: Any, **members: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": reason, **members}


def make_openai(choice: Any, text: str) -> tuple[Any, list[Any]]:
    head = {"id": "x", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": text}
    body = {**head, "object": "chat.completion", "choices": [{**choice, "message": message}]}
    chunk = {**head, "choices": [{"index": 0, "delta": message}]}
    return body, [chunk, {**head, "choices": [{**choice, "delta": {"content": ""}}]}, "[DONE]"]


def make_anthropic(reason: str, text: str) -> tuple[Any, list[Any]]:
    block = {"type": "text", "text": text}
    body = {"type": "message", "content": [block] if text else [], "stop_reason": reason}
    return body, [
        {"type": "message_start", "message": {"id": "x", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason}},
        {"type": "message_stop"},
    ]


def make_bedrock(reason: str, text: str) -> tuple[Any, list[Any]]:
    content = [{"text": text}] if text else []
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": reason}, [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}),
        ("messageStop", {"stopReason": reason}),
        ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}}),
    ]


def make_cohere(reason: str, text: str) -> tuple[Any, list[Any]]:
    content = {"type": "text", "text": text}
    message = {"role": "assistant", "content": [content] if text else []}
    return {"id": "x", "message": message, "finish_reason": reason}, [
        {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": content}}},
        {"type": "message-end", "delta": {"finish_reason": reason}},
    ]


def make_gemini(reason: str, text: str) -> tuple[Any, list[Any]]:
    content = {"role": "model", "parts": [{"text": text}] if text else []}
    body = {"candidates": [{"content": content, "finishReason": reason}]}
    return body, [body]


def make_ollama(reason: str, text: str) -> tuple[Any, list[Any]]:
    message = {"role": "assistant", "content": text}
    body = {"model": "m", "message": message, "done": True, "done_reason": reason}
    return body, [body]


def make_responses(reason: str, text: str) -> tuple[Any, list[Any]]:
    message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    body = {
        "id": "x", "status": "incomplete", "output": [message] if text else [],
        "incomplete_details": {"reason": reason},
    }  # fmt: skip
    return body, [{"type": "response.incomplete", "response": body}]


WIRES: dict[str, Any] = {
    "openai": lambda reason, text: make_openai(make_choice(reason), text),
    "anthropic": make_anthropic,
    "bedrock": make_bedrock,
    "cohere": make_cohere,
    "gemini": make_gemini,
    "ollama": make_ollama,
    "openai_responses": make_responses,
}
FAILURES = [
    "error", "network_error", "ERROR", "MALFORMED_FUNCTION_CALL", "abort", "server_error",
    "engine_overloaded", "function_call_filter: MALFORMED_FUNCTION_CALL",
]  # fmt: skip


def check_failure(wire: str, body: Any, events: list[Any]) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECTS[wire].response(body, make_target(wire))
    assert caught.value.status == 502
    with pytest.raises(UpstreamError, match=r"broke off|failed to write"):
        read_stream(wire, events)


@pytest.mark.parametrize("wire", WIRES)
@each("reason", FAILURES)
def test_a_failure_that_is_a_finish_reason_is_an_error(wire: str, reason: str) -> None:
    for text in ("", "Half an ans"):
        check_failure(wire, *WIRES[wire](reason, text))


@each("reason", ["stop", None, "length", "tool_calls", "error"])
@each("native", ["network_error", "error", "server_error", "MALFORMED_FUNCTION_CALL"])
def test_a_failure_that_only_the_native_reason_names_is_an_error(reason: Any, native: str) -> None:
    # https://github.com/earendil-works/pi/issues/8511
    for text in ("", "Half an ans"):
        check_failure(
            "openai", *make_openai(make_choice(reason, native_finish_reason=native), text)
        )


def test_a_failure_comes_before_the_first_piece_of_an_answer() -> None:
    """Only empty chunks were sent, so that another target can be tried."""
    _, events = make_openai(make_choice("stop", native_finish_reason="network_error"), "")
    parser = DIALECTS["openai"].stream(make_target("openai"))
    first = list(parser.feed(Event("", json.dumps(events[0]))))
    assert [choice["delta"] for chunk in first for choice in chunk["choices"]] == [
        {"role": "assistant", "content": ""}
    ]


@each("native", ["STOP", "completed", "end_turn", "eos", "network"])
def test_any_other_native_reason_is_passed_on(native: Any) -> None:
    body, events = make_openai(make_choice("stop", native_finish_reason=native), "Hi")
    (choice,) = read_reply("openai", body)["choices"]
    assert choice.get("native_finish_reason") == native
    assert read_stream("openai", events) == [choice]


@each("reason, expected", [
    ("content_filter: PROHIBITED_CONTENT", "content_filter"),
    ("content_filter: SAFETY", "content_filter"),
    ("length", "length"), ("LENGTH", "length"), ("new", "stop"),
])  # fmt: skip
def test_reasons_of_geminis_compatible_endpoint(reason: str, expected: str) -> None:
    body, _ = make_openai(make_choice(reason), "Hi")
    assert read_reply("openai", body)["choices"][0]["finish_reason"] == expected
