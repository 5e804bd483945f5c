"""What a message says, in the shape of the unified reply: its content as it comes back on the next
turn, its token counts and its end; and what a unified reply says in this API's words."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from native_api.dialects.shared.tools import parse_arguments, read_called_function
from native_api.types import Json
from tests.inbound.contexts import context_of
from tests.inbound.messages.message_reading import MESSAGES, REQUEST

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
TIERS = {"standard": "default"}
IMAGE = re.compile(r"\[The model made an image \(.+?\), .+?\]|!\[image\]\(.*?\)")
COUNTS = frozenset(
    {
        "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        "cache_creation", "input_tokens_details", "output_tokens_details", "server_tool_use", "service_tier",
    }
)  # fmt: skip


def read_as_reply(message: Json) -> Json:
    """The unified reply that says what the message says."""
    usage, reason = message["usage"], message["stop_reason"]
    choice: Json = {
        "message": comparable(send_back(message)),
        "finish_reason": FINISH_REASONS[reason],
    }
    if reason not in ("end_turn", "max_tokens", "tool_use"):
        choice["native_finish_reason"] = reason
    tier = usage.get("service_tier")
    return {
        "object": "chat.completion",
        "model": message["model"],
        "choices": [{"index": 0, **choice}],
        "usage": read_usage(usage),
        "service_tier": TIERS.get(tier, tier),
    }


def send_back(message: Json) -> Json:
    """The message in the next request, as the unified request has it."""
    turns: list[Json] = [{"role": "assistant", "content": message["content"]}] * bool(
        message["content"]
    )
    user: list[Json] = REQUEST["messages"]
    parsed = MESSAGES.parse({**REQUEST, "messages": [*user, *turns, *user]}, context_of())
    assert parsed.client_body is not None
    unified: Json = parsed.client_body.translate()["messages"][1]
    return unified if turns else {"role": "assistant"}


def read_usage(counts: Json) -> Json:
    written = counts["cache_creation_input_tokens"]
    cached = counts["cache_read_input_tokens"]
    prompt = counts["input_tokens"] + cached + written
    creation, tools = counts.get("cache_creation") or {}, counts.get("server_tool_use") or {}
    output_details = counts.get("output_tokens_details") or {}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": counts["output_tokens"],
        "total_tokens": prompt + counts["output_tokens"],
        "prompt_tokens_details": {
            **(counts.get("input_tokens_details") or {}),
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "cache_write_1h_tokens": creation.get("ephemeral_1h_input_tokens"),
        },
        "completion_tokens_details": {
            "reasoning_tokens" if name == "thinking_tokens" else name: count
            for name, count in output_details.items()
        },
        "server_tool_use": {name: count for name, count in tools.items() if count},
        **{name: value for name, value in counts.items() if name not in COUNTS},
    }


def expect(completion: Any) -> Json:
    """The unified reply as far as this API says it in other words: a refusal and speech are text.
    The model is the one that was asked for."""
    reply = {
        **completion,
        "model": REQUEST["model"],
        "choices": deepcopy(completion["choices"]),
    }
    choice = reply["choices"][0]
    message = choice["message"]
    refusal, audio = message.get("refusal") or "", message.get("audio") or {}
    if refusal and choice["finish_reason"] == "stop":
        choice["finish_reason"] = "content_filter"
    text = message.get("content") or audio.get("transcript") or ""
    choice["message"] = comparable({**message, "content": text + refusal})
    return reply


def comparable(message: Json) -> Json:
    """The message without descriptions of images, its calls with values as arguments."""
    calls = [_read_call(call) for call in message.get("tool_calls") or ()]
    content = message.get("content") or ""
    return {**message, "content": IMAGE.sub("", content), "tool_calls": calls}


def _read_call(call: Json) -> Json:
    """A call with a value as its arguments. Those that are no object are cut in a stream."""
    function = read_called_function(call)
    arguments: Any = parse_arguments(function["arguments"])
    if call["type"] == "custom":
        arguments = {"input": function["arguments"]}
    return {**call, "function": {**function, "arguments": arguments}}
