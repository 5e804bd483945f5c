"""The comparison of replies sees each kind of change, unless it is a listed loss."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.cases import each
from tests.inbound.reply_comparison import check_losses, find_differences

REPLY: Any = {
    "created": 5,
    "model": "m",
    "system_fingerprint": "fp",
    "choices": [
        {
            "finish_reason": "tool_calls",
            "message": {
                "content": "Hi",
                "reasoning_content": "Hm",
                "reasoning_details": [{"type": "reasoning.text", "signature": "s"}],
                "annotations": [{"type": "url_citation", "url_citation": {"start_index": 1}}],
                "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": "{}"}}],
                "audio": {"data": "AAAA"},
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}},
}


def message_of(reply: Any) -> Any:
    return reply["choices"][0]["message"]


@each(
    "spoil",
    [
        lambda reply: message_of(reply).update(content="H"),
        lambda reply: message_of(reply).update(refusal="No."),
        lambda reply: message_of(reply).pop("reasoning_content"),
        lambda reply: message_of(reply)["reasoning_details"][0].pop("signature"),
        lambda reply: message_of(reply)["reasoning_details"].append({"index": 1}),
        lambda reply: message_of(reply)["annotations"].clear(),
        lambda reply: message_of(reply)["tool_calls"][0].update(id="call_2"),
        lambda reply: message_of(reply)["tool_calls"][0]["function"].pop("arguments"),
        lambda reply: reply["choices"][0].update(finish_reason="stop"),
        lambda reply: reply["usage"].update(prompt_tokens=4),
        lambda reply: reply["usage"]["completion_tokens_details"].clear(),
        lambda reply: reply.update(model="n"),
    ],
)
def test_what_was_changed_is_seen(spoil: Callable[[Any], Any]) -> None:
    arrived = deepcopy(REPLY)
    spoil(arrived)
    assert list(find_differences(REPLY, arrived))
    with pytest.raises(AssertionError):
        check_losses("openai_responses", "openai", REPLY, arrived)


def test_a_listed_loss_is_allowed_for_its_wires_alone() -> None:
    arrived = deepcopy(REPLY)
    del arrived["system_fingerprint"]
    check_losses("openai_responses", "openai", REPLY, arrived)
    with pytest.raises(AssertionError, match="system_fingerprint"):
        check_losses("openai_responses", "anthropic", REPLY, arrived)


def test_members_of_one_vendor_may_be_lost() -> None:
    reply = {**REPLY, "x_timing": {"total": 1}}
    check_losses("openai_responses", "openai", reply, REPLY)
    with pytest.raises(AssertionError, match="model"):
        check_losses("openai_responses", "openai", REPLY, {**REPLY, "model": ""})


def test_nothing_and_its_absence_are_the_same() -> None:
    empty: Any = {"content": "", "tool_calls": [], "usage": {"cached_tokens": 0}}
    assert list(find_differences(empty, {})) == []
