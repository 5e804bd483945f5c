"""Bedrock's replies, complete and streamed, as unified ones. What a block means is the matter of
`bedrock_reply` and `bedrock_blocks`.

A stream tells why it stopped in `messageStop` and counts its tokens in `metadata`, which follows.
The finish reason waits for the counts, and for what a guardrail has to tell; where they never come,
it leaves when the stream closes. Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.bedrock.blocks import Blocks
from native_api.dialects.bedrock.errors import is_exception, read_reply_error
from native_api.dialects.bedrock.reply import Reply, join, read_usage, told_of
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatCompletionChunk, Event, Json


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError where the body is an error or holds no answer."""
    output = body.get("output") if isinstance(body, dict) else None
    answer = output.get("message") if isinstance(output, dict) else None
    if not isinstance(answer, dict) or not isinstance(answer.get("content"), list):
        raise _no_answer(body)
    reply = Reply()
    message: Json = {"role": "assistant", "content": None}
    for block in answer["content"]:
        if isinstance(block, dict):
            join(message, told_of(reply, block))
    owed, reason = reply.end(body.get("stopReason"), _about(body))
    join(message, owed)
    for call in message.get("tool_calls") or ():
        del call["index"]
    completion: ChatCompletion = {
        "id": "",
        "object": "chat.completion",
        "created": 0,
        "model": _routed_to(body),
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }
    usage, tier = read_usage(body.get("usage") or {}), _tier(body)
    if usage:
        completion["usage"] = usage
    if tier:
        completion["service_tier"] = tier
    return completion


def _no_answer(body: Any) -> UpstreamError:
    is_error = isinstance(body, dict) and bool(
        body.keys() & {"message", "Message", "__type", "Output"}
    )
    return (
        read_reply_error("", body)
        if is_error
        else UpstreamError("The provider's answer is not a Converse reply.")
    )


def _about(told: Json) -> list[Json]:
    """What a reply tells about itself only when asked."""
    return [
        {name: told[name]} for name in ("additionalModelResponseFields", "trace") if told.get(name)
    ]


def _routed_to(body: Json) -> str:
    """The model that a prompt router chose."""
    return str(((body.get("trace") or {}).get("promptRouter") or {}).get("invokedModelId") or "")


def _tier(told: Json) -> str:
    return str((told.get("serviceTier") or {}).get("type") or "")


class BedrockStream(StreamParser):
    def __init__(self) -> None:
        self._reply = Reply()
        self._blocks = Blocks(self._reply)
        self._reason: str | None = None
        self._about: list[Json] = []
        self._tier = ""
        self._stopped = False
        self._counted = False
        self._began = False
        self._finished = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            told: Any = orjson.loads(event.data or "{}")
        except orjson.JSONDecodeError:
            told = {"message": event.data}
            if not is_exception(event.type):
                raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        if is_exception(event.type):
            raise read_reply_error(event.type, told)
        handler = HANDLERS.get(event.type)
        if handler is None or not isinstance(told, dict):
            return ()
        delta = handler(self, told)
        if self._stopped and self._counted:
            return self._finish(delta)
        return self._chunk(delta) if delta else ()

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._stopped:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return self._finish({})

    def pending_delta(self) -> Json:
        return self._blocks.held()

    # --- events ----------------------------------------------------------------------------------------------

    def _message_start(self, told: Json) -> Json:
        return {} if self._began else {"content": ""}

    def _block_start(self, told: Json) -> Json:
        return {} if self._stopped else self._blocks.start(told)

    def _block_delta(self, told: Json) -> Json:
        return {} if self._stopped else self._blocks.grow(told)

    def _block_stop(self, told: Json) -> Json:
        return self._blocks.stop(told)

    def _message_stop(self, told: Json) -> Json:
        self._stopped = True
        self._reason = told.get("stopReason")
        self._about = _about(told) + self._about
        return self._blocks.stop_all()

    def _metadata(self, told: Json) -> Json:
        self.record_usage(read_usage(told.get("usage") or {}))
        self._about += _about(told)
        self._tier = _tier(told)
        self._counted = True
        return {}

    # --- chunks ----------------------------------------------------------------------------------------------

    def _finish(self, delta: Json) -> list[ChatCompletionChunk]:
        if self._finished:
            return []
        self._finished = True
        owed, reason = self._reply.end(self._reason, self._about)
        join(delta, owed)
        return self._chunk(delta, reason)

    def _chunk(self, delta: Json, reason: str | None = None) -> list[ChatCompletionChunk]:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        chunk: ChatCompletionChunk = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        if reason and self._tier:
            chunk["service_tier"] = self._tier
        return [chunk]


HANDLERS: Final = {
    "messageStart": BedrockStream._message_start,
    "contentBlockStart": BedrockStream._block_start,
    "contentBlockDelta": BedrockStream._block_delta,
    "contentBlockStop": BedrockStream._block_stop,
    "messageStop": BedrockStream._message_stop,
    "metadata": BedrockStream._metadata,
}
