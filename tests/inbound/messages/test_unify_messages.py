"""The turns of a Messages request as unified messages."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.access.sealing import CallerSeal
from native_api.exceptions import UnsupportedField
from tests.cases import each
from tests.inbound.contexts import ALICE
from tests.inbound.messages.requests import HELLO, PNG, talk, unify, unify_all

Json = dict[str, Any]
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **members: Any) -> Json:
    return {"type": "text", "text": words, **members}


def call(call_id: str, **input_: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": input_}


def result(call_id: str, content: Any = "ok", **members: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **members}


def part_of(block: Json) -> Any:
    """The unified content of a user's block."""
    return talk(user(block))[0]["content"]


def test_texts_are_messages() -> None:
    assert talk(HELLO, {"role": "assistant", "content": "Yes?"}, user(text("Go"))) == [
        HELLO,
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Go"},
    ]


def test_instructions_are_the_first_message() -> None:
    assert unify(system="Be brief.")["messages"][0] == {"role": "system", "content": "Be brief."}
    assert unify(system=[text("A", **CACHED), text("B")])["messages"][0] == {
        "role": "system",
        "content": [text("A", **CACHED), text("B")],
    }
    assert unify(system="")["messages"] == [HELLO]
    assert unify(system=[])["messages"] == [HELLO]


@each(
    "system, rest",
    [
        ([text("x-anthropic-billing-header: cch=1;"), text("B", **CACHED)], [text("B", **CACHED)]),
        ([text("x-anthropic-billing-header: cch=1;\nA"), text("B")], [text("A"), text("B")]),
        ("x-anthropic-billing-header: cch=1;\n\nB", "B"),
        ([text("x-anthropic-billing-header: cch=1;")], None),
    ],
)
def test_the_line_that_changes_reaches_no_other_wire(system: Any, rest: Any) -> None:
    messages = unify(system=system)["messages"]
    assert messages == ([{"role": "system", "content": rest}] if rest else []) + [HELLO]


def test_results_come_before_what_else_the_user_says() -> None:
    messages = talk(
        HELLO,
        assistant(call("a"), call("b", at=1)),
        user(text("And now?"), result("b", is_error=True), result("a", [text("x"), text("y")])),
    )
    assert messages[1]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}},
    ]
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": "b", "content": "ok", "is_error": True},
        {"role": "tool", "tool_call_id": "a", "content": [text("x"), text("y")]},
        {"role": "user", "content": "And now?"},
    ]


@each("content", ["", [], None])
def test_a_result_may_say_nothing(content: Any) -> None:
    block = {**result("a"), "content": content}
    assert talk(HELLO, assistant(call("a")), user(block))[2]["content"] == ""


def test_the_mark_of_a_result_is_that_of_its_last_part() -> None:
    messages = talk(user(result("a", **CACHED), result("b", [text("x"), text("y")], **CACHED)))
    assert messages[0]["content"] == [text("ok", **CACHED)]
    assert messages[1]["content"] == [text("x"), text("y", **CACHED)]


PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
DATA = "data:application/pdf;base64,JVBERi0="


@each(
    "block, parts",
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
        ),
        (
            {
                "type": "image",
                "source": {"type": "url", "url": "https://a.example/i.png"},
                **CACHED,
            },
            [{"type": "image_url", "image_url": {"url": "https://a.example/i.png"}, **CACHED}],
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            [{"type": "file", "file": {"file_id": "file_1", "filename": "image.png"}}],
        ),
        (
            {"type": "document", "source": PDF, "title": "a.pdf", "context": "Read it."},
            [text("Read it."), {"type": "file", "file": {"file_data": DATA, "filename": "a.pdf"}}],
        ),
        (
            {"type": "document", "source": PDF, "title": None},
            [{"type": "file", "file": {"file_data": DATA, "filename": "document.pdf"}}],
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}},
            [{"type": "file", "file": {"file_url": "https://a.example/a.pdf"}}],
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            [{"type": "file", "file": {"file_id": "file_1"}}],
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "A"},
                "title": "T",
                **CACHED,
            },
            [text("T"), text("A", **CACHED)],
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [text("A"), text("B")]},
            },
            [text("A"), text("B")],
        ),
        ({"type": "document", "source": {"type": "content", "content": "A"}}, "A"),
        (
            {"type": "search_result", "source": "s", "title": "T", "content": [text("A")]},
            "T\ns\nA",
        ),
    ],
)
def test_blocks_are_parts(block: Json, parts: Any) -> None:
    assert part_of(block) == parts
    assert talk(user(result("a", [block])))[0]["content"] == parts


def test_the_name_of_a_found_tool_is_text() -> None:
    assert (
        talk(user(result("a", [{"type": "tool_reference", "tool_name": "f"}])))[0]["content"] == "f"
    )


@each(
    "block, path",
    [
        ({"type": "container_upload", "file_id": "f"}, "messages[0].content[0]"),
        ({"type": "hologram"}, "messages[0].content[0]"),
        ({"type": "image", "source": {"type": "beam"}}, "messages[0].content[0].source.type"),
        (result("a", [{"type": "browser_state"}]), "messages[0].content[0].content[0]"),
    ],
)
def test_what_no_other_wire_takes_is_refused(block: Json, path: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        talk(user(block))
    assert caught.value.path == path


def test_citations_that_are_asked_for_are_reported() -> None:
    block = {"type": "document", "source": PDF, "citations": {"enabled": True}}
    assert unify_all(messages=[user(block)])[1] == ["messages.citations"]


# --- instructions in the middle -------------------------------------------------------------------


def test_instructions_in_the_middle_stay_there() -> None:
    messages = talk(HELLO, {"role": "system", "content": [text("Be brief.")]}, HELLO)
    assert messages == [HELLO, {"role": "system", "content": "Be brief."}, HELLO]


def test_instructions_that_are_out_of_date_are_left_out() -> None:
    note = {"role": "system", "content": "Now.", "clear_at": "next_user_message"}
    assert talk(HELLO, note, assistant(text("A")), HELLO) == [
        HELLO,
        {"role": "assistant", "content": "A"},
        HELLO,
    ]
    assert talk(HELLO, note)[1] == {"role": "system", "content": "Now."}


def test_the_last_effort_of_an_instruction_counts() -> None:
    chat = unify(
        messages=[
            HELLO,
            {"role": "system", "content": None, "output_config": {"effort": "low"}},
            {"role": "system", "content": "A", "output_config": {}},
        ],
        output_config={"effort": "max"},
    )
    assert chat["reasoning_effort"] == "low"
    assert chat["messages"] == [HELLO, {"role": "system", "content": "A"}]


def test_instructions_change_the_tools() -> None:
    schema = {"type": "object"}
    tools = [{"name": "a", "input_schema": schema}, {"name": "b", "input_schema": schema}]
    added = {"type": "tool_definition", "definition": {"name": "c", "input_schema": schema}}
    changes = [
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "a"}},
        {"type": "tool_addition", "tool": added},
    ]
    chat = unify(messages=[HELLO, {"role": "system", "content": changes}], tools=tools)
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["b", "c"]


def test_a_conversation_of_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedField, match="nothing"):
        talk({"role": "system", "output_config": {"effort": "low"}})


# --- caches and compactions -----------------------------------------------------------------------


def test_the_mark_of_the_request_is_that_of_the_last_part() -> None:
    chat = unify(cache_control={"type": "ephemeral"}, messages=[user(text("A"), text("B"))])
    assert chat["messages"][0]["content"] == [
        text("A"),
        text("B", cache_control={"type": "ephemeral"}),
    ]


def test_marks_of_a_models_texts_stay() -> None:
    message = talk(HELLO, assistant(text("A"), text("B", **CACHED), call("a")))[1]
    assert message["content"] == [text("A"), text("B", **CACHED)]


def test_a_compaction_stands_for_all_before_it() -> None:
    chat = unify(
        system="S",
        messages=[
            HELLO,
            assistant({"type": "compaction", "content": "They met."}, text("So?")),
            user(text("On.")),
        ],
    )
    assert chat["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "They met."},
        {"role": "assistant", "content": "So?"},
        {"role": "user", "content": "On."},
    ]


def test_the_tools_of_a_compaction_are_reported() -> None:
    change = {"type": "tool_removal", "tool": {"type": "custom", "name": "f"}}
    compaction = {"type": "compaction", "content": "They met.", "tool_changes": [change]}
    _, omitted = unify_all(messages=[HELLO, assistant(compaction, text("So?"))])
    assert omitted == ["messages.compaction.tool_changes"]


def test_a_compaction_that_nobody_can_read_is_reported() -> None:
    sealed = CallerSeal(ALICE).seal({"issued_by": "anthropic", "value": "x"})
    compaction = {"type": "compaction", "content": None, "encrypted_content": sealed}
    chat, omitted = unify_all(messages=[HELLO, assistant(compaction, text("So?"))])
    assert chat["messages"] == [HELLO, {"role": "assistant", "content": "So?"}]
    assert omitted == ["messages.compaction"]
