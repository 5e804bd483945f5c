"""A unified reply as a complete response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.guards import guard
from native_api.dialects.shared.json_values import read_objects
from native_api.inbound.base import ParsedRequest
from native_api.inbound.deltas import iterate_deltas
from native_api.inbound.openai.responses.output import ReplyOutput
from native_api.inbound.openai.responses.output_items import OutputListener
from native_api.inbound.openai.responses.response_object import (
    INCOMPLETE_REASONS,
    ResponseHead,
    build_end,
    build_usage,
    read_reply_members,
)
from native_api.inbound.sealed import find_seal
from native_api.types import Json


@guard
def build_response(parsed: ParsedRequest, completion: Any) -> Json:
    """The object `response` for a unified reply.

    Raises UpstreamError if a member that the provider wrote has an unexpected shape.
    """
    head = ResponseHead(parsed, completion)
    choice = completion["choices"][0]
    output = start_output(parsed, head, OutputListener())
    add_message(output, choice["message"], read_tokens(choice))
    reason = choice.get("finish_reason")
    output.finish(reason in INCOMPLETE_REASONS)
    usage = {"usage": build_usage(completion.get("usage"))}
    members = {**build_end(reason), **read_reply_members(completion), **usage}
    return head.build(output.build(), members)


def start_output(
    parsed: ParsedRequest, head: ResponseHead, listener: OutputListener
) -> ReplyOutput:
    body = parsed.client_body.body if parsed.client_body else {}
    return ReplyOutput(head.key, body, find_seal(parsed), listener)


def add_message(output: ReplyOutput, message: Mapping[str, Any], tokens: list[Json]) -> None:
    """Add a whole message, with the log probabilities of its text."""
    cutter = TokenCutter(tokens)
    for delta in iterate_deltas(message):
        output.add(delta, cutter.cut(delta.get("content") or ""))


def read_tokens(choice: Mapping[str, Any]) -> list[Json]:
    """The log probabilities of a choice's text."""
    logprobs = choice.get("logprobs")
    return read_objects(logprobs.get("content")) if isinstance(logprobs, dict) else []


class TokenCutter:
    """Gives each piece of the text its log probabilities."""

    def __init__(self, tokens: list[Json]) -> None:
        self._tokens = tokens
        self._ahead = 0
        """How many characters of the next pieces the tokens so far have."""

    def cut(self, text: str) -> list[Json]:
        """The tokens of the next piece."""
        self._ahead -= len(text)
        count = 0
        while self._ahead < 0 and count < len(self._tokens):
            self._ahead += len(self._tokens[count].get("token") or "")
            count += 1
        taken, self._tokens = self._tokens[:count], self._tokens[count:]
        return taken
