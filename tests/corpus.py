"""What a unified reply must say, and the check of one.

`corpus_readers` reads the expectation from a provider's own reply and uses nothing of the dialects.
Nothing may be missing from the reply, and nothing may be added. `test_corpus_spoiling` requires
that each kind of change is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from native_api.exceptions import UpstreamError


@dataclass
class ReplyContent:
    """The texts, calls, reasoning, token counts and other strings of a reply.

    A call is (name, arguments), a place the start and the end of a citation, or None if it has
    none. None and empty lists mean that the provider's reply does not say.
    """

    reply_id: str | None = None
    model: str | None = None
    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    places: list[tuple[int, int] | None] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


def parse_arguments(arguments: Any) -> Any:
    """Arguments as a value if they are JSON, otherwise the text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def iterate_strings(value: Any) -> Iterator[str]:
    """Every string in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from iterate_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from iterate_strings(item)


def check_reply(expected: ReplyContent, reply: Any) -> None:
    """Fail if the unified reply says less than the provider's, more, or something else."""
    messages = [choice["message"] for choice in reply["choices"]]
    check_head(expected, reply)
    text = "".join(
        (message.get("content") or "") + (message.get("refusal") or "") for message in messages
    )
    assert text == "".join(expected.texts)
    check_calls(expected, messages)
    reasoning = "".join(message.get("reasoning_content") or "" for message in messages)
    assert remove_line_breaks(reasoning) == remove_line_breaks("".join(expected.thoughts))
    strings = set(iterate_strings(reply))
    for signature in expected.signatures:
        assert signature in strings, f"signature lost: {signature[:40]!r}"
    check_places(expected, messages)
    if expected.finish_reasons:
        reasons = [choice["finish_reason"] for choice in reply["choices"]]
        assert reasons == expected.finish_reasons
    check_counts(expected, reply.get("usage") or {})


def check_head(expected: ReplyContent, reply: Any) -> None:
    if expected.reply_id is not None:
        assert reply["id"] == expected.reply_id
    if expected.model is not None:
        assert reply["model"] == expected.model


def check_calls(expected: ReplyContent, messages: list[Any]) -> None:
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    assert [read_call(call) for call in calls] == expected.calls
    if expected.ids:
        assert [call["id"] for call in calls] == expected.ids


def check_places(expected: ReplyContent, messages: list[Any]) -> None:
    places = [place for message in messages for place in read_places(message)]
    assert len(places) == len(expected.places)
    assert [
        place if known else None for place, known in zip(places, expected.places, strict=True)
    ] == expected.places


def remove_line_breaks(text: str) -> str:
    """Paragraphs of reasoning are joined by empty lines."""
    return text.replace("\n", "")


def read_call(call: dict[str, Any]) -> tuple[str, Any]:
    if call["type"] == "custom":
        return call["custom"]["name"], parse_arguments(call["custom"]["input"])
    return call["function"]["name"], parse_arguments(call["function"]["arguments"])


def read_places(message: dict[str, Any]) -> list[tuple[int, int]]:
    citations = [item["url_citation"] for item in message.get("annotations") or ()]
    return [(citation["start_index"], citation["end_index"]) for citation in citations]


def check_counts(expected: ReplyContent, usage: dict[str, Any]) -> None:
    if expected.prompt_tokens is not None:
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
            expected.prompt_tokens,
            expected.completion_tokens,
        )
        total = expected.prompt_tokens + (expected.completion_tokens or 0)
        assert usage["total_tokens"] == max(total, expected.total_tokens or 0)
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    for count, details, name in (
        (expected.cached_tokens, prompt, "cached_tokens"),
        (expected.cache_write_tokens, prompt, "cache_write_tokens"),
        (expected.reasoning_tokens, completion, "reasoning_tokens"),
    ):
        if count is not None:
            assert (details.get(name) or 0) == count, name


STATUSES = {400: 400, 413: 400, 422: 400, 429: 429}
"""A provider's status -> the gateway's; any other is 502."""


def check_error(recording: dict[str, Any], error: UpstreamError) -> None:
    """Fail if the provider's words or its status are lost."""
    assert error.upstream_status == recording["status"]
    assert error.status == STATUSES.get(recording["status"], 502)
    for words in find_messages(recording.get("body")):
        assert words in error.message


def find_messages(value: Any) -> Iterator[str]:
    """The texts that a body gives as its message, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from find_messages(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower() == "message" and isinstance(item, str):
                yield item
            else:
                yield from find_messages(item)
