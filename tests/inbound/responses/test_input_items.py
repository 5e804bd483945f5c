"""Every kind of item of `input` as unified messages."""

from __future__ import annotations

import json
from typing import Any

from native_api.exceptions import UnsupportedField
from tests.cases import each
from tests.inbound.responses.request_reading import find_fault, unify, unify_items

USER = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="


def answer(**members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, **members}


def function_call(call_id: str = "c1", name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


@each(
    "part, unified",
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_image", "image_url": PNG, "detail": "low", "file_id": None},
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        ),
        (
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "file", "file": {"file_id": "file-1"}},
        ),
        (
            {"type": "input_file", "file_data": PDF, "filename": "a.pdf", "detail": "low"},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        ),
        (
            {"type": "input_file", "file_url": "https://a.test/x.pdf"},
            {"type": "file", "file": {"file_url": "https://a.test/x.pdf"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        ),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ),
    ],
)
def test_a_part_of_a_message(part: Any, unified: Any) -> None:
    more = {"type": "input_text", "text": "b"}
    for item in ({"role": "user"}, {"type": "message", "role": "user", "id": "m", "status": "x"}):
        messages = unify_items({**item, "content": [part, more]})
        assert messages == [{"role": "user", "content": [unified, {"type": "text", "text": "b"}]}]


def test_the_detail_of_a_file_is_reported() -> None:
    parts = [
        {"type": "input_file", "file_data": PDF, "detail": "low"},
        {"type": "input_image", "file_id": "file-1", "detail": "high"},
    ]
    for part in parts:
        assert unify(input=[{"role": "user", "content": [part]}])[1] == ["input.content.detail"]


def test_one_text_is_a_string() -> None:
    for role in ("user", "system", "developer"):
        part = {"type": "input_text", "text": "a"}
        assert unify_items({"role": role, "content": [part]}) == [{"role": role, "content": "a"}]


@each(
    "content, path",
    [
        ([{"type": "input_image", "image_url": "ftp://x"}], "input[0].content[0].image_url"),
        ([{"type": "input_image"}], "input[0].content[0].image_url"),
        ([{"type": "input_file", "filename": "a"}], "input[0].content[0]"),
        ([{"type": "input_hologram"}], "input[0].content[0].type"),
    ],
)
def test_a_part_that_cannot_be_translated_is_named(content: Any, path: str) -> None:
    assert find_fault(input=[{"role": "user", "content": content}]).param == path


def test_instructions_are_text() -> None:
    image = {"type": "input_image", "image_url": PNG}
    fault = find_fault(input=[{"role": "developer", "content": [image]}])
    assert fault.param == "input[0].content[0].type"


def test_the_items_of_a_turn_are_one_message() -> None:
    messages = unify_items(
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_image", "image_url": PNG}],
        },
        {"role": "assistant", "content": "Done."},
    )
    assert messages == [
        USER,
        answer(
            content="Let me see.",
            reasoning_content="hm",
            tool_calls=[function_call("c1", "f", '{"a":1}'), function_call("c2", "g")],
        ),
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "image_url", "image_url": {"url": PNG}}],
        },
        answer(content="Done."),
    ]


def test_two_messages_of_a_turn_are_paragraphs() -> None:
    first = {"role": "assistant", "content": "A"}
    second = {"role": "assistant", "content": [{"type": "input_text", "text": "B"}]}
    assert unify_items(USER, first, second) == [USER, answer(content="A\n\nB")]


def test_a_refusal_stays_one() -> None:
    item = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert unify_items(USER, item) == [USER, answer(refusal="No.")]


def test_reasoning_that_nobody_can_read_leaves_nothing() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    assert unify_items(USER, item, USER) == [USER, USER]


@each(
    "call, result, name, content",
    [
        (
            {"type": "local_shell_call", "id": "i", "action": {"command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c1", "output": "x"},
            "local_shell",
            "x",
        ),
        (
            {"type": "shell_call", "action": {"commands": ["ls"]}, "status": "completed"},
            {"type": "shell_call_output", "output": [{"stdout": "x"}]},
            "shell",
            '[{"stdout":"x"}]',
        ),
        (
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call_output", "status": "completed"},
            "apply_patch",
            "completed",
        ),
        (
            {"type": "computer_call", "action": {"type": "wait"}, "pending_safety_checks": []},
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "image_url": PNG},
            },
            "computer",
            [{"type": "image_url", "image_url": {"url": PNG}}],
        ),
        (
            {"type": "tool_search_call", "execution": "client", "arguments": {"q": "x"}},
            {
                "type": "tool_search_output",
                "execution": "client",
                "tools": [{"type": "function", "name": "found"}],
            },
            "tool_search",
            '["found"]',
        ),
    ],
)
def test_a_tool_of_openai_that_the_client_runs(
    call: Any, result: Any, name: str, content: Any
) -> None:
    messages = unify_items(USER, {**call, "call_id": "c1"}, {"call_id": "c1", **result})
    _, made, output = messages
    assert made["tool_calls"][0]["id"] == output["tool_call_id"] == "c1"
    assert made["tool_calls"][0]["function"]["name"] == name
    arguments = json.loads(made["tool_calls"][0]["function"]["arguments"])
    assert arguments == {
        key: value for key, value in call.items() if key in ("action", "operation", "arguments")
    } | ({"pending_safety_checks": []} if name == "computer" else {})
    assert output["content"] == content


def test_a_patch_that_failed_is_an_error() -> None:
    item = {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "No"}
    assert unify_items(USER, item)[1]["is_error"] is True


def test_tools_that_a_client_found_can_be_called() -> None:
    found = {"type": "function", "name": "found", "parameters": {}}
    for item in (
        {"type": "tool_search_output", "execution": "client", "call_id": "c", "tools": [found]},
        {"type": "additional_tools", "role": "developer", "tools": [found, found]},
    ):
        unified, _ = unify(input=[USER, item])
        assert [tool["function"]["name"] for tool in unified["tools"]] == ["found"]


SERVER_ITEMS = (
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["a"]},
    {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "cntr_1"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "f"},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "f", "arguments": "{}"},
    {"type": "program", "id": "p_1", "call_id": "c", "code": "1", "fingerprint": "f"},
    {"type": "program_output", "id": "po_1", "call_id": "c", "result": "1"},
    {"type": "tool_search_call", "id": "ts_1", "arguments": {}},
    {"type": "tool_search_output", "id": "to_1", "tools": []},
)


@each("item", SERVER_ITEMS)
def test_what_openai_ran_itself_is_left_out_and_reported(item: Any) -> None:
    text = {"role": "assistant", "content": "A"}
    unified, omitted = unify(input=[USER, item, text, USER])
    assert unified["messages"] == [USER, answer(content="A"), USER]
    assert omitted == [f"input.{item['type']}"]


def test_an_approval_goes_with_its_tool() -> None:
    item = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}
    unified, omitted = unify(input=[USER, item])
    assert (unified["messages"], omitted) == ([USER], ["input.mcp_approval_response"])


def test_an_image_that_the_model_made_stays() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QQ=="}
    _, message = unify_items(USER, item)
    assert message["images"][0]["image_url"] == {"url": "data:image/png;base64,QQ=="}


def test_a_phase_is_reported() -> None:
    _, omitted = unify(input=[USER, {"role": "assistant", "content": "A", "phase": "commentary"}])
    assert omitted == ["input.phase"]


def test_settings_in_the_middle_hold_for_the_answer() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    unified, _ = unify(input=[USER, update, USER], reasoning={"effort": "low"})
    assert unified["reasoning_effort"] == "high"
    assert unified["messages"] == [USER, USER]


@each(
    "item, path",
    [
        ({"type": "compaction", "encrypted_content": "x"}, ""),
        ({"type": "compaction_trigger"}, "input[1].type"),
        ({"type": "item_of_next_year", "content": "x"}, "input[1].type"),
        ({"type": "function_call_output", "output": "x"}, "input[1].call_id"),
    ],
)
def test_an_item_that_the_conversation_depends_on_is_named(item: Any, path: str) -> None:
    if not path:  # A compaction that nobody can read says nothing, and is reported as dropped.
        assert unify_items(USER, item) == [USER]
    else:
        assert find_fault(input=[USER, item]).param == path


def test_a_new_kind_of_item_is_for_its_own_wire() -> None:
    fault = find_fault(input=[USER, {"type": "item_of_next_year"}])
    assert isinstance(fault, UnsupportedField)


def test_a_result_without_its_call_and_a_call_without_result_go_on() -> None:
    result = {"type": "function_call_output", "call_id": "c9", "output": "x"}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    messages = unify_items(USER, result, call)
    assert messages[1] == {"role": "tool", "tool_call_id": "c9", "content": "x"}
    assert messages[2] == answer(tool_calls=[function_call()])
