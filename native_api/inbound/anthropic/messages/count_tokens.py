"""Counting the input tokens of a message:
https://platform.claude.com/docs/en/api/messages-count-tokens (read 2026-11). The request is that of
a message, without what only concerns its answer."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.anthropic.messages.messages import MessagesFormat
from native_api.inbound.anthropic.messages.serializer import TokenCountSerializer
from native_api.inbound.base import ClientContext, ParsedRequest, to_json
from native_api.operations import COUNT_TOKENS

ANSWER_FIELDS: Final = frozenset({"max_tokens", "stream"})
"""Fields that clients send if they count the very request that they are about to send. Anthropic
refuses them here."""


class CountTokensFormat(MessagesFormat):
    operation = COUNT_TOKENS
    endpoint = "messages/count_tokens"

    def __init__(self) -> None:
        self._serializer = TokenCountSerializer()

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        fields = {name: value for name, value in data.items() if name not in ANSWER_FIELDS}
        return super().parse(fields, context)

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        """The body for a number of tokens."""
        return to_json({"input_tokens": reply})
