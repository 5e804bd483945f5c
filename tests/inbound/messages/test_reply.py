"""A complete unified reply as Anthropic's message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.types import Json
from tests.cases import each
from tests.inbound.contexts import ALICE, context_of
from tests.inbound.messages.message_reading import MESSAGES, REQUEST, read_complete

SEAL = context_of(ALICE).seal


def reply_of(message: Json, finish_reason: str = "stop", **members: Any) -> Json:
    choice_members = {
        name: members.pop(name) for name in ("native_finish_reason",) if name in members
    }
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": finish_reason,
        **choice_members,
    }
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.4"}
    return {**head, "choices": [choice], **members}


def call(index: int = 1, arguments: str = '{"a": 1}', **members: Any) -> Json:
    function = {"name": "look", "arguments": arguments}
    return {"id": f"call_{index}", "type": "function", "function": function, **members}


def test_a_text_is_a_message_with_all_its_members() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert read_complete(reply_of({"content": "Hello"}, usage=usage)) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
        },
    }


def test_a_reply_to_a_tier_has_the_providers_model() -> None:
    request = {**REQUEST, "tier": "simple"}
    del request["model"]
    parsed, reply = MESSAGES.parse(request, context_of()), reply_of({"content": "x"})
    assert json.loads(MESSAGES.reply(parsed, reply))["model"] == "gpt-5.4"
    forwarded = {"type": "message", "model": "claude", "content": []}
    assert json.loads(MESSAGES.forward(parsed, forwarded)) == forwarded


def test_anthropics_own_id_stays() -> None:
    assert read_complete({**reply_of({"content": "x"}), "id": "msg_0A"})["id"] == "msg_0A"


@each(
    "finish_reason, native, stop_reason",
    [
        ("stop", None, "end_turn"),
        ("length", None, "max_tokens"),
        ("tool_calls", None, "tool_use"),
        ("content_filter", None, "refusal"),
        ("content_filter", "SAFETY", "refusal"),
        ("content_filter", "guardrail_intervened", "refusal"),
        ("stop", "pause_turn", "pause_turn"),
        ("stop", "stop_sequence", "stop_sequence"),
        ("stop", "STOP", "end_turn"),
        ("length", "model_context_window_exceeded", "model_context_window_exceeded"),
    ],
)
def test_the_stop_reason(finish_reason: str, native: str | None, stop_reason: str) -> None:
    reply = reply_of({"content": "x"}, finish_reason, native_finish_reason=native)
    assert read_complete(reply)["stop_reason"] == stop_reason


def test_a_reply_without_a_reason_ends_with_its_calls_or_its_turn() -> None:
    reply: Any = reply_of({"content": "x"})
    reply["choices"][0]["finish_reason"] = None
    assert read_complete(reply)["stop_reason"] == "end_turn"
    reply["choices"][0]["message"]["tool_calls"] = [call()]
    assert read_complete(reply)["stop_reason"] == "tool_use"


def test_the_stop_sequence_is_named_if_the_provider_named_it() -> None:
    fields = {"format": "anthropic", "index": 0, "block": {"stop_sequence": "END"}}
    message = read_complete(
        reply_of(
            {"content": "x", "provider_content": [fields]}, native_finish_reason="stop_sequence"
        )
    )
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


@each("member", ["stop_reason", "matched_stop"])
def test_a_stop_sequence_that_a_vendor_names_is_one_of_the_requests(member: str) -> None:
    reply: Any = reply_of({"content": "x"})
    reply["choices"][0][member] = "END"
    message = read_complete(reply, stop_sequences=["END"])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert read_complete(reply)["stop_reason"] == "end_turn"


def test_a_refusal_is_text_and_a_stop_reason() -> None:
    message = read_complete(reply_of({"refusal": "I will not."}))
    assert message["content"] == [{"type": "text", "text": "I will not."}]
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"] == {
        "type": "refusal",
        "category": None,
        "explanation": "I will not.",
    }


def test_input_tokens_exclude_those_of_the_cache() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {
            "cached_tokens": 30,
            "cache_write_tokens": 50,
            "cache_write_1h_tokens": 40,
        },
        "completion_tokens_details": {"reasoning_tokens": 7},
        "server_tool_use": {"web_search_requests": 2},
        "speed": "fast",
    }
    message = read_complete(reply_of({"content": "x"}, usage=usage, service_tier="priority"))
    assert message["usage"] == {
        "input_tokens": 20,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 7},
        "server_tool_use": {"web_fetch_requests": 0, "web_search_requests": 2},
        "service_tier": "priority",
        "speed": "fast",
    }


@each(
    "arguments, value",
    [
        ('{"a": 1}', {"a": 1}),
        ("{}", {}),
        ("", {}),
        ("null", {}),
        ('{"a": [1, ', {"_raw": '{"a": [1, '}),
        ("[1]", {"_raw": "[1]"}),
        ("plain", {"_raw": "plain"}),
    ],
)
def test_the_input_of_a_call_is_an_object(arguments: str, value: Json) -> None:
    message = read_complete(reply_of({"tool_calls": [call(arguments=arguments)]}, "tool_calls"))
    assert message["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "look", "input": value}
    ]


def test_a_custom_tools_text_is_its_input() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": 'a "b"\n'}}
    content = read_complete(reply_of({"tool_calls": [custom]}, "tool_calls"))["content"]
    assert content == [
        {"type": "tool_use", "id": "c", "name": "patch", "input": {"input": 'a "b"\n'}}
    ]


# --- thinking ----------------------------------------------------------------------------------


def test_thinking_without_a_signature_has_an_empty_one() -> None:
    content = read_complete(reply_of({"reasoning_content": "Hm.", "content": "x"}))["content"]
    assert content[0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}


def test_what_another_wire_needs_back_is_the_signature_of_its_thinking() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "bedrock"}
    detail |= {"index": 0, "issued_by": "eu"}
    reply = reply_of({"reasoning_content": "Hm.", "reasoning_details": [detail], "content": "x"})
    thinking, text = read_complete(reply)["content"]
    assert (thinking["type"], thinking["thinking"], text["text"]) == ("thinking", "Hm.", "x")
    assert SEAL.open(thinking["signature"]) == {"message": {"reasoning_details": [detail]}}


def test_what_belongs_to_a_call_comes_before_it() -> None:
    extra = {"google": {"thought_signature": "s", "issued_by": "g"}}
    reply = reply_of(
        {"content": "x", "tool_calls": [call(1, extra_content=extra), call(2)]}, "tool_calls"
    )
    content = read_complete(reply)["content"]
    assert [block["type"] for block in content] == [
        "text",
        "redacted_thinking",
        "tool_use",
        "tool_use",
    ]
    assert SEAL.open(content[1]["data"]) == {"message": {"calls": {"call_1": extra}}}
    assert "s" not in str(content)[: str(content).index("nseal1.")].split('"')


def test_anthropics_thinking_keeps_its_form_and_its_issuer() -> None:
    details = [
        {"type": "reasoning.text", "text": "A", "signature": "s1", "format": "anthropic"},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic"},
        {"type": "reasoning.text", "text": "B", "signature": "s2", "format": "anthropic", "at": 1},
    ]
    details = [{**item, "index": index, "issued_by": "eu"} for index, item in enumerate(details)]
    reply = reply_of({"reasoning_content": "AB", "reasoning_details": details, "content": "xy"})
    content = read_complete(reply)["content"]
    said = [block.get("thinking") or block.get("text") or "" for block in content]
    assert said == ["A", "", "x", "B", "y"]
    assert [SEAL.open(content[index]["signature"]) for index in (0, 3)] == [
        {"issued_by": "eu", "value": "s1"},
        {"issued_by": "eu", "value": "s2"},
    ]
    assert SEAL.open(content[1]["data"]) == {"issued_by": "eu", "value": "d"}


# --- blocks, citations and images --------------------------------------------------------------


def test_blocks_of_anthropics_tools_stand_where_they_stood() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    result: Json = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    items = [
        {"format": "anthropic", "index": index, "block": block, "at": 1, "calls": 1}
        for index, block in enumerate([search, result])
    ]
    reply = reply_of({"content": "xy", "provider_content": items, "tool_calls": [call()]})
    content = read_complete(reply)["content"]
    assert [content[0]["text"], content[1]["name"], *content[2:4], content[4]["text"]] == [
        "x",
        "look",
        search,
        result,
        "y",
    ]


ITEM: Json = {"format": "openai_responses", "index": 0, "block": {"type": "web_search_call"}}


def test_blocks_of_other_wires_are_sealed_before_what_follows_them() -> None:
    reply = reply_of({"content": "x", "provider_content": [ITEM], "tool_calls": [call()]})
    redacted, text, _ = read_complete(reply, thinking={"type": "adaptive"})["content"]
    assert SEAL.open(redacted["data"]) == {"message": {"provider_content": [ITEM]}}
    assert text == {"type": "text", "text": "x"}


@each("thinking", [{}, {"thinking": {"type": "disabled"}}])
def test_the_first_block_is_the_text_if_nobody_asked_for_thinking(thinking: Json) -> None:
    message: Json = {"content": "x", "provider_content": [ITEM]}
    text, redacted = read_complete(reply_of(message), **thinking)["content"]
    assert (text["text"], redacted["type"]) == ("x", "redacted_thinking")
    reply = reply_of({**message, "tool_calls": [call()]})
    kinds = [block["type"] for block in read_complete(reply, **thinking)["content"]]
    assert kinds == ["text", "redacted_thinking", "tool_use"]


def test_citations_of_another_provider_belong_to_the_last_text() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    annotations = [{"type": "url_citation", "url_citation": cited}]
    reply = reply_of({"content": "x", "annotations": annotations, "tool_calls": [call()]})
    assert read_complete(reply)["content"][0]["citations"] == [
        {
            "type": "web_search_result_location",
            "url": "https://a.example",
            "title": "A",
            "cited_text": "",
            "encrypted_index": "",
        }
    ]


def test_anthropics_citations_stay_as_they_were() -> None:
    citation = {
        "type": "char_location",
        "cited_text": "c",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
        "file_id": None,
    }
    item = {"format": "anthropic", "index": 0, "at": 1, "until": 2}
    item["block"] = {"type": "text", "citations": [citation]}
    annotations = [{"type": "url_citation", "url_citation": {"url": "", "title": ""}}]
    message = {"content": "xyz", "provider_content": [item], "annotations": annotations}
    content = read_complete(reply_of(message))["content"]
    assert [(block["text"], block.get("citations")) for block in content] == [
        ("x", None),
        ("y", [citation]),
        ("z", None),
    ]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://a.example/i.png", "![image](https://a.example/i.png)"),
        (
            "data:image/png;base64,AAAA",
            "[The model made an image (image/png), which the Messages API cannot return.]",
        ),
    ],
)
def test_an_image_is_described(url: str, text: str) -> None:
    image = {"type": "image_url", "image_url": {"url": url}, "index": 0}
    content = read_complete(reply_of({"content": "Here:", "images": [image]}))["content"]
    assert [block["text"] for block in content] == ["Here:", text]
