"""Citations have all members that strict clients require, on every wire that has citations."""

from __future__ import annotations

from typing import Any

from tests.cases import each
from tests.dialects.reply_reading import read_reply, read_stream

TEXT = "Hello"
URL = "https://x.ai/"
Reply = tuple[Any, list[Any]]


def make_openai(annotation: Any) -> Reply:
    message = {"role": "assistant", "content": TEXT, "annotations": [annotation]}
    choice = {"index": 0, "finish_reason": "stop"}
    body = {"id": "x", "choices": [{**choice, "message": message}]}
    return body, [{"id": "x", "choices": [{**choice, "delta": message}]}, "[DONE]"]


def make_responses(annotation: Any) -> Reply:
    content = [{"type": "output_text", "text": TEXT, "annotations": [annotation]}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    body = {"id": "x", "status": "completed", "output": [message]}
    return body, [
        {
            "type": "response.output_text.annotation.added", "item_id": "msg_1",
            "output_index": 0, "content_index": 0, "annotation": annotation,
        },
        {"type": "response.completed", "response": body},
    ]  # fmt: skip


def make_anthropic(citation: Any) -> Reply:
    block = {"type": "text", "text": TEXT, "citations": [citation]}
    body = {"type": "message", "content": [block], "stop_reason": "end_turn"}
    return body, [
        {"type": "message_start", "message": {"id": "", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]


def make_bedrock(citation: Any) -> Reply:
    cited = {"content": [{"text": TEXT}], "citations": [citation]}
    message = {"role": "assistant", "content": [{"citationsContent": cited}]}
    return {"output": {"message": message}, "stopReason": "end_turn"}, [
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"citation": citation}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": TEXT}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
    ]


def make_cohere(citation: Any) -> Reply:
    content = {"type": "text", "text": TEXT}
    message = {"role": "assistant", "content": [content], "citations": [citation]}
    return {"id": "x", "message": message, "finish_reason": "COMPLETE"}, [
        {"type": "content-start", "index": 0, "delta": {"message": {"content": content}}},
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    ]


def make_gemini(source: Any) -> Reply:
    grounding = {"groundingChunks": [{"web": source}]}
    candidate = {
        "content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP",
        "groundingMetadata": grounding,
    }  # fmt: skip
    return {"candidates": [candidate]}, [{"candidates": [candidate]}]


PLACELESS: list[Reply] = [
    make_openai({"type": "url_citation", "url_citation": {"url": URL}}),
    make_openai({"type": "url_citation", "url_citation": {"url": URL, "title": None}}),
    make_openai({"type": "url_citation", "url": URL, "start_index": None}),
    make_openai({"url": URL}),
    make_responses({"type": "url_citation", "url": URL}),
    make_responses({"type": "url_citation", "url": URL, "title": None, "end_index": None}),
    make_responses({"type": "url_citation", "url": URL, "start_index": -1}),
    make_anthropic({"type": "web_search_result_location", "url": URL}),
    make_anthropic({"type": "web_search_result_location", "url": URL, "title": None}),
    make_bedrock({"location": {"web": {"url": URL}}, "title": None}),
    make_bedrock({"source": URL}),
    make_gemini({"uri": URL}),
]
WIRES = [
    *["openai"] * 4, *["openai_responses"] * 3, *["anthropic"] * 2, *["bedrock"] * 2, "gemini"
]  # fmt: skip
PLACE = {"url": URL, "title": "", "start_index": 0, "end_index": len(TEXT)}


def read_citation(wire: str, reply: Reply) -> Any:
    """The only citation, the same from the complete reply and from the stream."""
    body, events = reply
    choices = read_reply(wire, body)["choices"]
    (annotation,) = choices[0]["message"]["annotations"]
    assert read_stream(wire, events)[0]["message"]["annotations"] == [annotation]
    return annotation["url_citation"]


@each("wire, reply", list(zip(WIRES, PLACELESS, strict=True)))
def test_a_citation_without_a_place_spans_its_text(wire: str, reply: Reply) -> None:
    # xAI sends only the URL: packages/xai of https://github.com/vercel/ai, recorded 2025-10.
    citation = read_citation(wire, reply)
    assert {name: citation[name] for name in PLACE} == PLACE


@each("wire, reply", [
    ("openai", make_openai({"type": "new", "text": "x"})),
    ("openai", make_openai({"type": "url_citation", "url_citation": {}})),
    ("openai_responses", make_responses({"type": "url_citation"})),
    ("openai_responses", make_responses({"type": "file_citation", "file_id": "f"})),
    ("anthropic", make_anthropic({"type": "char_location", "document_title": None})),
    ("bedrock", make_bedrock({"title": 3, "location": {}})),
    ("cohere", make_cohere({"start": 0, "end": 2})),
    ("cohere", make_cohere({"start": None, "sources": [{"type": "tool", "id": None}]})),
    ("gemini", make_gemini({})),
])  # fmt: skip
def test_a_source_without_an_address_has_an_empty_one(wire: str, reply: Reply) -> None:
    assert read_citation(wire, reply)["url"] == ""


def test_the_place_of_a_citation_is_kept() -> None:
    place = {"url": URL, "title": "X", "start_index": 1, "end_index": 3}
    for reply in (
        make_openai({"type": "url_citation", "url_citation": place}),
        make_openai({"type": "url_citation", **place}),
    ):
        assert read_citation("openai", reply) == place
    responses = make_responses({"type": "url_citation", **place})
    assert read_citation("openai_responses", responses) == place
