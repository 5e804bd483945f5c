"""A streamed response, and its bytes: a reply through the writer of its inbound format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from django.http import StreamingHttpResponse

from native_api import logs
from native_api.background import test_environment
from native_api.exceptions import NativeError
from native_api.inbound.base import StreamWriter
from native_api.logs import get_logger

logger = get_logger("native_api.stream")


class Batches(Protocol):
    """The chunks or forwarded events of a reply. Those that arrived in one read are in one list."""

    is_forwarded: bool

    def __aiter__(self) -> AsyncIterator[list[Any]]: ...
    async def aclose(self) -> None: ...


class EventStream:
    """One piece for each batch, then the writer's end, or its error if the reply fails."""

    def __init__(
        self,
        reply: Batches,
        writer: StreamWriter,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`before_end` is awaited after the last batch, before the writer's end."""
        self._reply = reply
        self._writer = writer
        self._before_end = before_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        writer = self._writer
        write = writer.forward if self._reply.is_forwarded else writer.feed
        try:
            async for batch in self._reply:
                yield write(batch)
            if self._before_end is not None:
                await self._before_end()
            yield writer.close()
        except NativeError as error:
            yield writer.fail(error)
        except Exception:
            logger.exception(
                "A stream failed inside the gateway.", extra={"request_id": logs.request_id.get()}
            )
            yield writer.fail(NativeError())

    async def aclose(self) -> None:
        await self._reply.aclose()


class EventStreamResponse(StreamingHttpResponse):
    def __init__(self) -> None:
        super().__init__(content_type="text/event-stream; charset=utf-8")
        # Django's GZipMiddleware delays events until it has enough to compress, unless a response
        # is encoded already.
        self.headers["content-encoding"] = "identity"
        self.headers["x-accel-buffering"] = "no"

    def close(self) -> None:
        with test_environment.keep_connections():
            super().close()
