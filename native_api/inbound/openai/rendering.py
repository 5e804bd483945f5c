"""Values -> bytes: JSON and server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

import orjson
from rest_framework.renderers import BaseRenderer

from native_api import logs
from native_api.exceptions import NativeError
from native_api.inbound.openai.error_envelope import error_event
from native_api.logs import get_logger
from native_api.types import ChatCompletionChunk

logger = get_logger("native_api.stream")

DONE: Final = b"data: [DONE]\n\n"


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return to_json(data)


class EventStreamRenderer(JSONRenderer):
    """For clients that accept only `text/event-stream`. `EventStream` writes the streams; errors
    stay JSON."""

    media_type = "text/event-stream"
    format = "sse"


def to_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


class Batches(Protocol):
    """The chunks of a reply. Those that arrived in one read are in one list."""

    def __aiter__(self) -> AsyncIterator[list[ChatCompletionChunk]]: ...
    async def aclose(self) -> None: ...


class EventStream:
    """The bytes of a stream: one piece for each batch, then `[DONE]`, or an error event if the
    reply fails."""

    def __init__(self, reply: Batches) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for batch in self._reply:
                yield b"".join([b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in batch])
            yield DONE
        except NativeError as error:
            yield error_event(error)
        except Exception:
            logger.exception(
                "A stream failed inside the gateway.", extra={"request_id": logs.request_id.get()}
            )
            yield error_event(NativeError())

    async def aclose(self) -> None:
        await self._reply.aclose()
