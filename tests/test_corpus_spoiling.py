"""The checks of `test_corpus` see what they must: replies and errors are spoiled on purpose, one
member at a time, and each spoiling must be seen in every recording that has the member."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from tests.cases import Cases, check_cases
from tests.corpus import ReplyContent, check_error, check_reply
from tests.corpus_files import (
    Recording,
    complete,
    failed,
    find_wire,
    needs_corpus,
    select,
    streamed,
)
from tests.corpus_folding import fold_events
from tests.corpus_readers import READERS
from tests.test_corpus import build_target, decode, parse_stream, read_error, read_raw

pytestmark = needs_corpus

Spoil = Callable[[Any], bool]
"""Changes a reply or an error; False if it has nothing of the kind."""


def change_member(value: Any, name: str, change: Callable[[Any], Any]) -> bool:
    """Change a member that is not empty."""
    if not value or not value.get(name):
        return False
    value[name] = change(value[name])
    return True


def in_messages(spoil: Spoil) -> Spoil:
    """Spoil the first message that can be spoiled so."""
    return lambda reply: any(spoil(choice["message"]) for choice in reply["choices"])


def in_items(name: str, spoil: Spoil) -> Spoil:
    """The same for the items of a message's list."""
    return in_messages(lambda message: any(map(spoil, message.get(name) or ())))


def in_usage(name: str) -> Spoil:
    return lambda reply: change_member(reply.get("usage"), name, lambda count: count + 1)


def in_details(details: str, name: str) -> Spoil:
    return lambda reply: change_member(
        (reply.get("usage") or {}).get(details), name, lambda count: count + 1
    )


def swap_finish_reason(reply: Any) -> bool:
    choice = reply["choices"][0]
    choice["finish_reason"] = "length" if choice["finish_reason"] == "stop" else "stop"
    return True


def swap_id_and_model(reply: Any) -> bool:
    if not reply["id"] or not reply["model"]:
        return False
    reply["id"], reply["model"] = reply["model"], reply["id"]
    return True


def change_arguments(call: Any) -> bool:
    return change_member(call.get("function"), "arguments", lambda text: '{"other": 1}')


def move_place(annotation: Any) -> bool:
    # A place that starts at 0 may be the gateway's own, for a source without one.
    return change_member(annotation["url_citation"], "start_index", lambda index: index + 1)


SPOILINGS: dict[str, Spoil] = {
    "finish reason swapped": swap_finish_reason,
    "id and model swapped": swap_id_and_model,
    "model changed": lambda reply: change_member(reply, "model", lambda model: f"{model}-2"),
    "text doubled": in_messages(lambda item: change_member(item, "content", lambda text: text * 2)),
    "text cut": in_messages(lambda item: change_member(item, "content", lambda text: text[:-1])),
    "reasoning doubled": in_messages(
        lambda item: change_member(item, "reasoning_content", lambda text: text * 2)
    ),
    "signature changed": in_items(
        "reasoning_details", lambda item: change_member(item, "signature", lambda text: f"{text}A")
    ),
    "encrypted reasoning lost": in_items(
        "reasoning_details", lambda item: change_member(item, "data", lambda text: "")
    ),
    "call lost": in_messages(
        lambda item: change_member(item, "tool_calls", lambda calls: calls[1:])
    ),
    "call doubled": in_messages(
        lambda item: change_member(item, "tool_calls", lambda calls: [*calls, calls[0]])
    ),
    "arguments changed": in_items("tool_calls", change_arguments),
    "citation lost": in_messages(
        lambda item: change_member(item, "annotations", lambda items: items[1:])
    ),
    "citation moved": in_items("annotations", move_place),
    "prompt tokens changed": in_usage("prompt_tokens"),
    "completion tokens changed": in_usage("completion_tokens"),
    "total changed": in_usage("total_tokens"),
    "cached tokens changed": in_details("prompt_tokens_details", "cached_tokens"),
    "cache writes changed": in_details("prompt_tokens_details", "cache_write_tokens"),
    "reasoning tokens changed": in_details("completion_tokens_details", "reasoning_tokens"),
}


NOTHING: frozenset[str] = frozenset()
IN_NO_STREAM = frozenset({"cache writes changed"})
"""What no recorded stream has."""


def read_both(recording: Recording) -> tuple[ReplyContent, Any] | None:
    """What the provider said and the unified reply; None for a stream that failed."""
    wire = find_wire(recording)
    if "body" in recording:
        reply: Any = DIALECTS[wire].response(deepcopy(recording["body"]), build_target(recording))
        return READERS[wire](recording["body"]), reply
    outcome, reply = parse_stream(recording, [read_raw(recording)])
    events = decode(recording, [read_raw(recording)])
    return (READERS[wire](fold_events(wire, events)), reply) if outcome == "ended" else None


@pytest.mark.parametrize(
    ("load", "unspoiled"),
    [
        pytest.param(select(complete), NOTHING, id="complete"),
        pytest.param(select(streamed), IN_NO_STREAM, id="streamed"),
    ],
)
def test_a_spoiled_reply_is_seen(load: Callable[[], Cases], unspoiled: frozenset[str]) -> None:
    remaining = set(SPOILINGS)

    def check(recording: Recording) -> None:
        both = read_both(recording)
        if both is None:
            return
        expected, reply = both
        for name, spoil in SPOILINGS.items():
            spoiled = deepcopy(reply)
            if spoil(spoiled):
                remaining.discard(name)
                with pytest.raises(AssertionError):
                    check_reply(expected, spoiled)

    check_cases(load(), check)
    assert remaining == unspoiled


ERROR_SPOILINGS: dict[str, Callable[[UpstreamError], None]] = {
    "words lost": lambda error: setattr(error, "message", "The provider refused the request."),
    "status lost": lambda error: setattr(error, "upstream_status", None),
    "status changed": lambda error: setattr(error, "status", 500),
}


@pytest.mark.parametrize("name", ERROR_SPOILINGS)
def test_a_spoiled_error_is_seen(name: str) -> None:
    def check(recording: Recording) -> None:
        error = read_error(recording)
        ERROR_SPOILINGS[name](error)
        with pytest.raises(AssertionError):
            check_error(recording, error)

    check_cases(select(failed)(), check)
