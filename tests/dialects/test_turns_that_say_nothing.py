"""Texts of nothing but white space, turns of nothing but reasoning, and turns that nobody wrote."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_body, find_issuer, read_turns, walk
from tests.issued import mark_message

HI = {"role": "user", "content": "hi"}
GO = {"role": "user", "content": "go"}
CALL = {"id": "abcdef123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
DONE = {"role": "tool", "tool_call_id": "abcdef123", "content": "done"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
PDF = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
CSV = {"filename": "a.csv", "file_data": "data:text/csv;base64,YQ=="}
CACHED = {"cache_control": {"type": "ephemeral"}}

BLANKS = ("", "\n", " \n\t", "\u2003")
REFUSE_BLANKS = [name for name in TARGETS if name.startswith(("anthropic", "bedrock"))]
"""Anthropic and Amazon: "text content blocks must contain non-whitespace text"."""


REFUSE_USERS_AFTER_RESULTS = ("bedrock mistral", "mistral")
"""Models that answer 400 to a user right after results."""


def text(content: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **more}


def file(content: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": content, **more}


def find_blanks(body: Any) -> list[Any]:
    return [
        part
        for part in walk(body)
        if isinstance(part.get("text"), str) and not part["text"].strip()
    ]


@each("name, blank", [(name, blank) for name in REFUSE_BLANKS for blank in BLANKS])
def test_a_blank_text_is_never_sent_where_it_is_refused(name: str, blank: str) -> None:
    for messages in (
        [{"role": "user", "content": blank}],
        [HI, {"role": "assistant", "content": blank}, GO],
        [{"role": "system", "content": blank}, HI],
        [{"role": "system", "content": blank}],
        [HI, {"role": "assistant", "content": "a"}, {"role": "user", "content": blank}],
        [{"role": "user", "content": [text(blank), text("x", **CACHED), text(blank, **CACHED)]}],
        [HI, {**ASKS, "content": blank}, {**DONE, "content": blank}],
        [HI, {**ASKS, "content": [text(blank, **CACHED)]}, {**DONE, "content": [text(blank)]}],
        [HI, {"role": "assistant", "content": [text("a"), text(blank, **CACHED)]}, GO],
    ):
        body = build_body(name, *messages, tools=TOOLS)
        assert not find_blanks(body)
        assert read_turns(body)
        assert all(turn["content"] for turn in read_turns(body))


@each("name", TARGETS)
def test_a_user_who_says_nothing_leaves_no_request_without_turns(name: str) -> None:
    assert read_turns(build_body(name, {"role": "user", "content": "\n"}))
    assert read_turns(build_body(name, {"role": "user", "content": ""}))


def test_a_turn_of_nothing_else_is_a_full_stop() -> None:
    nothing = {"role": "user", "content": "\n"}
    answer = {"role": "assistant", "content": "a"}
    assert build_body("anthropic", HI, answer, nothing)["messages"][-1] == {
        "role": "user",
        "content": [text(".")],
    }
    assert build_body("bedrock claude", nothing)["messages"] == [
        {"role": "user", "content": [{"text": "."}]}
    ]


def test_a_user_who_says_nothing_and_then_something_says_that() -> None:
    turns = build_body("anthropic", {"role": "user", "content": "\n"}, HI)["messages"]
    assert turns == [{"role": "user", "content": [text("hi")]}]


def test_the_cache_marker_of_a_blank_text_goes_to_the_part_before_it() -> None:
    message = {"role": "user", "content": [text("long"), text("\n", **CACHED)]}
    assert build_body("anthropic", message)["messages"][0]["content"] == [text("long", **CACHED)]
    assert build_body("bedrock claude", message)["messages"][0]["content"] == [
        {"text": "long"},
        {"cachePoint": {"type": "default"}},
    ]


def test_blank_text_counts_in_the_places_of_a_reply() -> None:
    """A thought at character 3 stays between the two texts, though the first blank is not sent."""
    thought = {
        "type": "reasoning.text",
        "text": "t",
        "signature": "s",
        "format": "anthropic",
        "index": 0,
        "at": 3,
    }
    answer = {
        "role": "assistant",
        "content": [text("\n"), text("ab"), text("c")],
        "reasoning_details": [thought],
    }
    own = mark_message(answer, find_issuer("anthropic"))
    blocks = build_body("anthropic", HI, own, GO)["messages"][1]["content"]
    assert [block.get("text", block["type"]) for block in blocks] == ["ab", "thinking", "c"]


# --- documents on Bedrock ------------------------------------------------------------------------


def test_a_document_with_a_cache_marker_and_no_words_gets_words() -> None:
    body = build_body("bedrock claude", {"role": "user", "content": [file(PDF, **CACHED)]})
    blocks = body["messages"][0]["content"]
    assert [next(iter(block)) for block in blocks] == ["document", "text", "cachePoint"]
    assert blocks[1] == {"text": "See the attached document."}


def test_a_document_with_a_cache_marker_and_words_is_sent_as_recorded() -> None:
    """bedrock-5989cfa27d6b of pydantic-ai's recordings: Bedrock takes the line break."""
    content = [text("Read."), file(PDF, **CACHED)]
    blocks = build_body("bedrock claude", {"role": "user", "content": content})["messages"][0]
    assert [next(iter(block)) for block in blocks["content"]] == [
        "text",
        "document",
        "text",
        "cachePoint",
    ]
    assert blocks["content"][2] == {"text": "\n"}


# --- turns that nobody wrote ---------------------------------------------------------------------


def read_roles(name: str, *messages: Any) -> list[str]:
    return [turn["role"] for turn in build_body(name, *messages, tools=TOOLS)["messages"]]


def test_claude_takes_a_pdf_beside_results_on_bedrock() -> None:
    """As in recordings of pydantic-ai with Sonnet 4.5: toolResult, text, document in one turn."""
    see = {"role": "user", "content": [text("See."), file(PDF)]}
    turns = build_body("bedrock claude", HI, ASKS, DONE, see, tools=TOOLS)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [next(iter(block)) for block in turns[2]["content"]] == [
        "toolResult",
        "text",
        "document",
    ]


def test_other_documents_stay_apart_from_results_for_claude_on_bedrock() -> None:
    """https://github.com/pydantic/pydantic-ai/pull/6098: text files and videos are a 400."""
    see = {"role": "user", "content": [file(CSV)]}
    roles = read_roles("bedrock claude", HI, ASKS, DONE, see)
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert read_roles("bedrock nova", HI, ASKS, DONE, see) == ["user", "assistant", "user"]


@each("name", [name for name in TARGETS if name not in REFUSE_USERS_AFTER_RESULTS])
def test_nobody_writes_a_turn_of_the_model_after_results(name: str) -> None:
    turns = read_turns(build_body(name, HI, ASKS, DONE, GO, tools=TOOLS))
    models = [turn for turn in turns if turn.get("role") in ("assistant", "model")]
    calls = [turn for turn in turns if turn.get("type") == "function_call"]
    assert len(models) + len(calls) == 1


def test_a_model_of_mistral_that_takes_a_user_after_results_gets_no_invented_turn() -> None:
    """ruby_llm's recordings of 2026-08: mistral-small-latest takes tool, then user."""
    small = replace(TARGETS["mistral"], model="mistral-small-latest")
    turns = build_body(small, HI, ASKS, DONE, GO, tools=TOOLS)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "user"]
    assert build_body("mistral", HI, ASKS, DONE, GO, tools=TOOLS)["messages"][3] == {
        "role": "assistant",
        "content": "OK",
    }


# --- turns of nothing but reasoning --------------------------------------------------------------


def think(form: str, **more: Any) -> dict[str, Any]:
    detail = {"type": "reasoning.text", "text": "t", "format": form, "index": 0, **more}
    return {
        "role": "assistant",
        "content": None,
        "reasoning_content": "t",
        "reasoning_details": [detail],
    }


FORMATS = {"anthropic_vertex": "anthropic", "vertex": "gemini", "responses": "openai_responses"}


@each("name", [name for name in TARGETS if name != "ollama"])
def test_a_turn_that_was_cut_while_thinking_is_left_out(name: str) -> None:
    form = FORMATS.get(name, name.split()[0])
    more = (
        {"type": "reasoning.encrypted", "data": "gA", "id": "rs_1"} if name == "responses" else {}
    )
    cut = think(form, **({"signature": "s"} | more))
    for issuer in (find_issuer(name), "another"):
        turns = read_turns(build_body(name, HI, mark_message(cut, issuer), GO))
        assert all(turn.get("role") == "user" for turn in turns)


def test_reasoning_that_led_to_a_call_goes_back_to_responses() -> None:
    more = {"type": "reasoning.encrypted", "data": "gA", "id": "rs_1"}
    answer = {**think("openai_responses", **more), "tool_calls": [CALL]}
    own = mark_message(answer, find_issuer("responses"))
    items = build_body("responses", HI, own, DONE)["input"]
    assert [item.get("type", item.get("role")) for item in items] == [
        "user",
        "reasoning",
        "function_call",
        "function_call_output",
    ]
