"""Items of the Responses API that servers number, repeat or complete in ways of their own: each is
said once, and a stream says what the complete reply says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases import each, for_each
from tests.dialects.reply_reading import read_reply, read_stream, replay

WIRE = "openai_responses"
TEXT_TYPES = {"text": "output_text", "refusal": "refusal"}


def make_message(*contents: Any, item_id: str = "msg_1", **members: Any) -> dict[str, Any]:
    return {
        "type": "message", "id": item_id, "role": "assistant", "status": "completed",
        "content": list(contents), **members,
    }  # fmt: skip


def make_text(text: str, *annotations: Any, **members: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": list(annotations), **members}


def make_reasoning(item_id: str, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": item_id, "summary": [], **members}


def make_body(*output: Any, **members: Any) -> dict[str, Any]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": list(output), "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        **members,
    }  # fmt: skip


def done(index: int, item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def added(index: int, item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def completed(body: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": body}


def read_both(events: list[Any], body: Any) -> Any:
    """The message, the same from the stream that these events and the body end."""
    choices = read_reply(WIRE, body)["choices"]
    assert read_stream(WIRE, [*events, completed(body)]) == choices
    return choices[0]["message"]


# --- indexes that count over the whole response ---------------------------------------------------

REASONING = make_reasoning("rs_1")


def make_part_event(kind: str, index: int, **members: Any) -> dict[str, Any]:
    return {
        "type": f"response.{kind}", "item_id": "msg_1", "output_index": 1, "content_index": index,
        **members,
    }  # fmt: skip


@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_text_is_said_once_however_its_parts_are_numbered(first: int) -> None:
    # Recorded at Bedrock's Responses API with gpt-oss, 2026-08.
    body = make_body(REASONING, make_message(make_text("Hello"), make_text(" there")))
    events = [
        added(1, make_message()),
        make_part_event("output_text.delta", first, delta="Hel"),
        make_part_event("output_text.delta", first, delta="lo"),
        make_part_event("output_text.done", first, text="Hello"),
        make_part_event("output_text.delta", first + 1, delta=" there"),
        done(1, body["output"][1]),
    ]
    assert read_both(events, body)["content"] == "Hello there"


@pytest.mark.parametrize("first", [0, 3])
def test_a_refusal_is_said_once_however_its_parts_are_numbered(first: int) -> None:
    body = make_body(REASONING, make_message({"type": "refusal", "refusal": "No."}))
    events = [make_part_event("refusal.delta", first, delta="No."), done(1, body["output"][1])]
    assert read_both(events, body)["refusal"] == "No."


@pytest.mark.parametrize("first", [0, 2])
def test_annotations_and_logprobs_are_said_once_however_their_parts_are_numbered(
    first: int,
) -> None:
    citation = {
        "type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0,
        "end_index": 2,
    }  # fmt: skip
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    body = make_body(REASONING, make_message(make_text("Hi", citation, logprobs=[token])))
    events = [
        make_part_event("output_text.delta", first, delta="Hi", logprobs=[token]),
        make_part_event("output_text.annotation.added", first, annotation=citation),
        done(1, body["output"][1]),
    ]
    assert len(read_both(events, body)["annotations"]) == 1


@pytest.mark.parametrize("first", [0, 4])
@pytest.mark.parametrize(("kind", "member", "index_name"), [
    ("reasoning_summary_text", "summary", "summary_index"),
    ("reasoning_text", "content", "content_index"),
])  # fmt: skip
def test_reasoning_is_said_once_however_its_parts_are_numbered(
    kind: str, member: str, index_name: str, first: int
) -> None:
    texts = [{"type": "summary_text", "text": text} for text in ("One.", "Two.")]
    item = {**make_reasoning("rs_1"), member: texts}
    events = [
        {
            "type": f"response.{kind}.delta", "item_id": "rs_1", "output_index": 0,
            index_name: first + number, "delta": text["text"],
        }
        for number, text in enumerate(texts)
    ]  # fmt: skip
    message = read_both([*events, done(0, item)], make_body(item, make_message(make_text("Hi"))))
    assert message["reasoning_content"] == "One.\n\nTwo."


def test_a_part_without_deltas_is_added_when_its_item_is_done() -> None:
    body = make_body(make_message(make_text("Hello"), make_text(" there")))
    delta = {
        "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "delta": "Hello",
    }  # fmt: skip
    assert read_both([delta, done(0, body["output"][0])], body)["content"] == "Hello there"


# --- what only the final response says ------------------------------------------------------------

CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f",
    "arguments": '{"a": 1}',
}  # fmt: skip
LATE_MEMBERS: dict[str, tuple[Any, Any]] = {
    "encrypted reasoning": (
        make_reasoning("rs_1"),
        make_reasoning("rs_1", encrypted_content="gAAA"),
    ),
    "a summary": (
        make_reasoning("rs_1"),
        {**make_reasoning("rs_1"), "summary": [{"type": "summary_text", "text": "Hm."}]},
    ),
    "annotations": (
        make_message(make_text("Hi"), item_id="msg_2"),
        make_message(
            make_text("Hi", {"type": "url_citation", "url": "https://a.example"}), item_id="msg_2"
        ),
    ),
    "log probabilities": (
        make_message(make_text("Hi"), item_id="msg_2"),
        make_message(make_text("Hi", logprobs=[{"token": "Hi", "logprob": 0}]), item_id="msg_2"),
    ),
    "the end of a text": (
        make_message(make_text("H"), item_id="msg_2"),
        make_message(make_text("Hi"), item_id="msg_2"),
    ),
    "a refusal": (
        make_message(item_id="msg_2"),
        make_message({"type": "refusal", "refusal": "No."}, item_id="msg_2"),
    ),
    "a phase": (
        make_message(make_text("Hi"), item_id="msg_2"),
        make_message(make_text("Hi"), item_id="msg_2", phase="final_answer"),
    ),
    "arguments": ({**CALL, "arguments": ""}, CALL),
    "an id alone": (make_reasoning("rs_1"), make_reasoning("rs_1")),
}


@for_each(lambda: LATE_MEMBERS.items())
def test_what_only_the_final_response_says_is_not_lost(items: tuple[Any, Any]) -> None:
    # https://github.com/earendil-works/pi/issues/6608
    early, final = items
    greeting = make_message(make_text("Hello."))
    is_first = final["type"] == "reasoning"
    index, output = (0, [final, greeting]) if is_first else (1, [greeting, final])
    events = [added(index, early), done(index, early), done(1 - index, greeting)]
    read_both(sorted(events, key=lambda event: event["output_index"]), make_body(*output))


def test_late_reasoning_goes_back_before_what_it_led_to() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    reasoning = make_reasoning("rs_1", encrypted_content="gAAA")
    answer = make_message(make_text("Hi"))
    events = [
        added(0, make_reasoning("rs_1")), done(0, make_reasoning("rs_1")), done(1, search),
        done(2, answer), completed(make_body(reasoning, search, answer)),
    ]  # fmt: skip
    message = read_stream(WIRE, events)[0]["message"]
    assert [item.get("type", item.get("role")) for item in replay(WIRE, message)["input"]] == [
        "user", "reasoning", "web_search_call", "assistant", "user",
    ]  # fmt: skip


def test_encrypted_reasoning_that_changes_is_said_once() -> None:
    """OpenAI accepts that of the `done` event only (recorded 2026-10)."""
    events = [
        done(0, make_reasoning("rs_1", encrypted_content="gAAA")),
        completed(make_body(make_reasoning("rs_1", encrypted_content="gBBB"))),
    ]
    (detail,) = read_stream(WIRE, events)[0]["message"]["reasoning_details"]
    assert detail["data"] == "gAAA"


# --- several messages -----------------------------------------------------------------------------

COMMENTARY = make_message(make_text("I'll look."), phase="commentary")
ANSWER = make_message(make_text("It is Bern."), item_id="msg_2", phase="final_answer")


@pytest.mark.parametrize(
    "between", [(), (make_reasoning("rs_1", encrypted_content="gAAA"),)], ids=["next", "later"]
)
@pytest.mark.parametrize("phases", [True, False])
def test_an_answer_does_not_run_into_the_commentary(between: Any, phases: bool) -> None:
    # https://github.com/langchain4j/langchain4j/issues/6399, 2026-09
    output = [
        {name: value for name, value in item.items() if phases or name != "phase"}
        for item in (COMMENTARY, *between, ANSWER)
    ]
    events = [event for index, item in enumerate(output) for event in (done(index, item),)]
    message = read_both(events, make_body(*output))
    assert message["content"] == "I'll look.\n\nIt is Bern."
    answer = message["provider_content"][-1]
    assert message["content"][answer["at"] :] == "It is Bern."
    sent = [item for item in replay(WIRE, message)["input"] if item.get("role") == "assistant"]
    expected = [("I'll look.", "commentary"), ("It is Bern.", "final_answer")]
    assert [(item["content"], item.get("phase")) for item in sent] == [
        (text, phase if phases else None) for text, phase in expected
    ]


def test_places_of_citations_count_the_paragraph() -> None:
    citation = {
        "type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 6,
        "end_index": 10,
    }  # fmt: skip
    answer = make_message(make_text("It is Bern.", citation), item_id="msg_2")
    message = read_both([done(0, COMMENTARY), done(1, answer)], make_body(COMMENTARY, answer))
    place = message["annotations"][0]["url_citation"]
    assert message["content"][place["start_index"] : place["end_index"]] == "Bern"


# --- tools of the provider ------------------------------------------------------------------------

X_SEARCH = {
    "type": "custom_tool_call", "id": "ctc_1", "call_id": "xs_call_1", "name": "x_keyword_search",
    "input": '{"query": "a"}', "status": "completed",
}  # fmt: skip


@pytest.mark.parametrize("tools", [None, [], [{"type": "x_search"}]], ids=repr)
@pytest.mark.parametrize("name", ["x_keyword_search", "view_x_video"])
def test_a_call_that_the_provider_runs_is_not_the_clients(tools: Any, name: str) -> None:
    # Recorded at xAI, 2025-12; packages/xai of https://github.com/vercel/ai
    call = {**X_SEARCH, "name": name}
    body = make_body(call, make_message(make_text("Found.")), tools=tools)
    events = [
        {"type": "response.created", "response": {"id": "resp_1", "tools": tools}},
        added(0, {**call, "input": ""}),
        {
            "type": "response.custom_tool_call_input.delta", "item_id": "ctc_1",
            "output_index": 0, "delta": call["input"],
        },
        done(0, call),
    ]  # fmt: skip
    message = read_both(events, body)
    assert "tool_calls" not in message
    assert message["provider_content"][0]["block"] == call
    assert read_reply(WIRE, body)["choices"][0]["finish_reason"] == "stop"
    kinds = [item.get("type", item.get("role")) for item in replay(WIRE, message)["input"]]
    assert kinds == ["user", "assistant", "user"]


@pytest.mark.parametrize("tools", [
    [{"type": "custom", "name": "x_keyword_search"}, {"type": "x_search"}],
    [{"type": "namespace", "tools": [{"type": "custom", "name": "x_keyword_search"}]}],
], ids=["custom", "namespace"])  # fmt: skip
def test_a_custom_tool_that_the_client_declared_is_the_clients(tools: Any) -> None:
    body = make_body(X_SEARCH, tools=tools)
    (call,) = read_both([], body)["tool_calls"]
    assert call["custom"] == {"name": "x_keyword_search", "input": '{"query": "a"}'}


@each(
    "kind",
    ["x_search_call", "web_search_call", "code_interpreter_call", "mcp_call", "new_call"],
)
def test_calls_of_other_types_are_not_the_clients(kind: str) -> None:
    call = {"type": kind, "id": "c_1", "call_id": "", "name": "x", "arguments": "{}"}
    message = read_both([done(0, call)], make_body(call))
    assert "tool_calls" not in message
    assert message["provider_content"][0]["block"] == call
