"""OpenAI's Chat Completions, as clients speak it:
https://platform.openai.com/docs/api-reference/chat (read 2026-11). Its request is the unified
request, so only the writing of replies is left to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from native_api.exceptions import NativeError
from native_api.inbound.base import ParsedRequest, StreamWriter, to_json
from native_api.inbound.openai.base import UnifiedFormat
from native_api.inbound.openai.chat_serializer import ChatCompletionSerializer
from native_api.inbound.openai.error_envelope import error_envelope
from native_api.inbound.openai.foreign_fields import SESSION_FIELDS
from native_api.operations import CHAT
from native_api.types import ChatCompletionChunk, ForwardedEvent

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"


class ChatStreamWriter(StreamWriter):
    """`data: {chat.completion.chunk}` for each chunk, then `[DONE]`, or an error event."""

    def feed(self, chunks: Iterable[ChatCompletionChunk]) -> bytes:
        return b"".join([b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks])

    def forward(self, events: Iterable[ForwardedEvent]) -> bytes:
        texts = [
            orjson.dumps(event.chunk).decode() if event.data is None else event.data
            for event in events
        ]
        return "".join([f"data: {text}\n\n" for text in texts]).encode()

    def ping(self) -> bytes:
        return KEEP_ALIVE

    def fail(self, error: NativeError) -> bytes:
        return b"data: " + to_json(error_envelope(error)) + b"\n\n"

    def close(self) -> bytes:
        return DONE


class ChatCompletions(UnifiedFormat):
    operation = CHAT
    wire = "openai_chat"
    conversation_fields = ("conversation_id", *SESSION_FIELDS)

    def __init__(self) -> None:
        super().__init__(ChatCompletionSerializer())

    def stream(self, parsed: ParsedRequest) -> ChatStreamWriter:
        return ChatStreamWriter()
