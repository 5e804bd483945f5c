"""Tokens are estimated from what is sent: a prompt counts wherever it is in the body, on every
wire."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import InvalidRequest
from native_api.types import Provider, Target
from native_api.upstream.prepared_request import prepare
from native_api.usage.media_tokens import FILE_TOKENS, IMAGE_TOKENS
from native_api.usage.tokens import (
    may_hold_media,
    prompt_tokens,
    sent_tokens,
)
from tests.cases import each

WORDS = "many words " * 150_000
"""1.6 MB."""
TOKENS = len(WORDS) // 4
HI: Any = {"role": "user", "content": "Hi"}


def target(wire: str) -> Target:
    options = {"project": "p", "location": "l"} if wire == "anthropic_vertex" else {}
    model = "claude-opus-4-6" if "anthropic" in wire else "m"
    return Target(Provider("p", wire, "https://api.example/v1", options=options), model)


def chat(*messages: Any, **fields: Any) -> Any:
    return {"model": "m", "messages": list(messages) or [HI], "max_tokens": 10, **fields}


def sent(wire: str, request: Any) -> tuple[int, bytes]:
    """Return the estimate and the body. Raises InvalidRequest."""
    prepared = prepare(request, target(wire))
    return sent_tokens(prepared.body, prepared.content, may_hold_media(request)), prepared.content


def is_near(tokens: int, true: int = TOKENS) -> bool:
    return true * 2 / 3 <= tokens <= true * 4 / 3


def in_options(**members: Any) -> Any:
    return lambda wire: chat(provider_options={"p": members})


def native(wire: str) -> Any:
    return DIALECTS[wire].native_format or wire


TURN = {"role": "user", "content": WORDS}
DATA_URL = f"data:image/png;base64,{WORDS}"
OPTIONS: dict[str, Any] = {
    "messages": in_options(messages=[TURN]),
    "system": in_options(system=WORDS),
    "system in parts": in_options(system=[{"type": "text", "text": WORDS}]),
    "contents": in_options(contents=[{"role": "user", "parts": [{"text": WORDS}]}]),
    "systemInstruction": in_options(systemInstruction={"parts": [{"text": WORDS}]}),
    "input": in_options(input=WORDS),
    "instructions": in_options(instructions=WORDS),
    "an unheard-of member": in_options(unheard_of={"deep": [[{"er": WORDS}]]}),
    "the name of a member": in_options(**{WORDS: 1}),
    "many short members": in_options(**{f"member {number}": "x" * 60 for number in range(20_000)}),
    "many short messages": in_options(
        messages=[{"role": "user", "content": "many words" * 2}] * 80_000
    ),
    "a member called as media are": in_options(
        documents=[{"image_url": {"url": WORDS}, "data": WORDS[:10]}]
    ),
    "the words of a message that look like media": in_options(
        messages=[{"role": "user", "content": DATA_URL}]
    ),
    "a tool's schema": in_options(
        tools=[
            {
                "name": "f",
                "input_schema": {"properties": {"image_url": DATA_URL, "source": {"bytes": WORDS}}},
            }
        ]
    ),
}
"""Prompts in `provider_options`, which every wire sends as they are."""

FIELDS: dict[str, Any] = {
    "content": lambda wire: chat(TURN),
    "a system message": lambda wire: chat({"role": "system", "content": WORDS}, HI),
    "a text part that looks like media": lambda wire: chat(
        {"role": "user", "content": [{"type": "text", "text": DATA_URL}]}
    ),
    "a tool's description": lambda wire: chat(
        tools=[{"type": "function", "function": {"name": "f", "description": WORDS}}]
    ),
    "a call's arguments": lambda wire: chat(
        HI, *called('{"image_url": {"url": "' + DATA_URL + '"}}', "done")
    ),
    "a tool's result": lambda wire: chat(HI, *called("{}", WORDS)),
    "prediction": lambda wire: chat(prediction={"type": "content", "content": WORDS}),
    "reasoning_content": lambda wire: chat(
        HI, {"role": "assistant", "content": "Ho", "reasoning_content": WORDS}, HI
    ),
    "reasoning_details": lambda wire: chat(
        HI, {"role": "assistant", "content": "Ho", "reasoning_details": reasoning(wire)}, HI
    ),
    "provider_content": lambda wire: chat(
        {**HI, "provider_content": [{"format": native(wire), "block": block_of(wire), "index": 0}]}
    ),
    "a schema": lambda wire: chat(response_format=schema()),
}
"""Prompts in fields of the unified request, as far as the wire has them."""


def called(arguments: str, result: str) -> list[Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


def reasoning(wire: str) -> list[Any]:
    details = {
        "type": "reasoning.text",
        "text": WORDS,
        "signature": "c2ln",
        "format": native(wire),
        "index": 0,
        "issued_by": "p",
    }
    return [
        details,
        {
            "type": "reasoning.encrypted",
            "data": "AAAA",
            "format": native(wire),
            "index": 1,
            "id": "r",
            "issued_by": "p",
        },
    ]


def block_of(wire: str) -> Any:
    return {
        "type": "search_result",
        "source": "s",
        "title": "t",
        "content": [{"type": "text", "text": WORDS}],
        "text": WORDS[:9],
    }


def schema() -> Any:
    properties = {"answer": {"type": "string", "description": WORDS}}
    wanted = {
        "type": "object",
        "properties": properties,
        "required": ["answer"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": wanted}}


@pytest.mark.parametrize("wire", DIALECTS)
@each("way", OPTIONS)
def test_what_provider_options_add_counts_or_is_refused(wire: str, way: str) -> None:
    try:
        tokens, content = sent(wire, OPTIONS[way](wire))
    except InvalidRequest as refusal:
        refused = refusal.param or ""
    else:
        refused = ""
        assert is_near(tokens, len(content) // 4)
        assert len(content) > 1_000_000
    assert not refused or refused.startswith("provider_options.p.")


@pytest.mark.parametrize("wire", DIALECTS)
@each("way", FIELDS)
def test_request_fields_count_if_they_are_sent(wire: str, way: str) -> None:
    try:
        tokens, content = sent(wire, FIELDS[way](wire))
    except InvalidRequest:
        assert way in ("provider_content", "a schema")
    else:
        assert is_near(tokens) if len(content) > 1_000_000 else tokens < 200


def test_every_field_is_sent_on_some_wire() -> None:
    def is_sent(wire: str, way: str) -> bool:
        try:
            return len(sent(wire, FIELDS[way](wire))[1]) > 1_000_000
        except InvalidRequest:
            return False

    assert [way for way in FIELDS if not any(is_sent(wire, way) for wire in DIALECTS)] == []


# --- media ---------------------------------------------------------------------------------------

PNG = "iVBORw0KGgo" + "A" * 1_000_001
PDF = base64.b64encode(b"%PDF-1.7\n" + b"\x00" * 900_000).decode()
TEXT = base64.b64encode(WORDS.encode()).decode()


def part(kind: str, data: str) -> Any:
    url = f"data:{kind};base64,{data}"
    if kind.startswith("image"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": "f.pdf", "file_data": url}}


@pytest.mark.parametrize("wire", DIALECTS)
def test_an_image_counts_as_a_constant_on_every_wire(wire: str) -> None:
    tokens, content = sent(
        wire,
        chat(
            {"role": "user", "content": [{"type": "text", "text": "See"}, part("image/png", PNG)]}
        ),
    )
    assert len(content) > 1_000_000
    assert IMAGE_TOKENS < tokens < IMAGE_TOKENS + 100


@pytest.mark.parametrize("wire", sorted(DIALECTS.keys() - {"cohere", "ollama"}))
def test_a_document_counts_by_its_size(wire: str) -> None:
    tokens, content = sent(
        wire,
        chat(
            {
                "role": "user",
                "content": [{"type": "text", "text": "See"}, part("application/pdf", PDF)],
            }
        ),
    )
    assert len(content) > 1_000_000
    assert FILE_TOKENS < tokens < 15_000


@pytest.mark.parametrize("wire", DIALECTS)
@pytest.mark.parametrize("kind", ["text/plain", "application/pdf"])
def test_a_text_document_counts_as_text_whatever_its_type(wire: str, kind: str) -> None:
    try:
        tokens, content = sent(
            wire,
            chat({"role": "user", "content": [{"type": "text", "text": "See"}, part(kind, TEXT)]}),
        )
    except InvalidRequest:
        return
    assert len(content) > 1_000_000
    assert is_near(tokens)


def test_a_request_with_files_to_fetch_counts_what_is_known() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://files.example/a.png"}}
    request = chat({"role": "user", "content": [{"type": "text", "text": WORDS}, picture]})
    assert is_near(prompt_tokens(request) - IMAGE_TOKENS)


# --- accuracy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", DIALECTS)
@pytest.mark.parametrize(
    "words",
    ["The weather in this city is fine today, they say. " * 8, "敏捷的棕色狐狸跳过了懒狗。" * 12],
)
def test_a_conversation_counts_about_the_same_on_every_wire(wire: str, words: str) -> None:
    turns = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": words}
        for number in range(9)
    ]
    request = chat({"role": "system", "content": words}, *turns)
    assert is_near(sent(wire, request)[0], prompt_tokens(request))
