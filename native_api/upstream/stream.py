"""The chunks of one streamed reply, read from the provider's response; or its events, if they are
forwarded to a client that speaks the same wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import httpx

from native_api.dialects.base import Dialect
from native_api.dialects.streams import StreamEditor, StreamParser
from native_api.exceptions import NativeError, ProviderFault, UpstreamError, UpstreamTimeout
from native_api.operations import CHAT
from native_api.types import (
    ChatCompletion,
    ChatCompletionChunk,
    Event,
    ForwardedEvent,
    Json,
    Target,
    Usage,
)
from native_api.upstream import transport
from native_api.upstream.call_scopes import attributed
from native_api.upstream.decoders import DECODERS
from native_api.upstream.replies import log_failure, parse_reply

StreamItem = ChatCompletionChunk | ForwardedEvent


class UpstreamStream:
    """The chunks in batches: all that one network read completed. `usage` is true at any moment.

    With an `editor` they are ForwardedEvents instead. Iterating raises ProviderFault if the reply
    breaks. `aclose` closes the upstream connection. `ends_at` is the deadline of the whole reply,
    in the event loop's time.
    """

    def __init__(
        self,
        response: httpx.Response,
        dialect: Dialect,
        target: Target,
        omitted: tuple[str, ...],
        ends_at: float,
        editor: StreamEditor | None = None,
    ) -> None:
        self.target = target
        self.omitted = omitted
        self._response = response
        self._dialect = dialect
        self.editor = editor
        self._parser = dialect.stream(target) if editor is None else editor.parser
        self._reader: StreamParser | StreamEditor = editor or self._parser
        self._ends_at = ends_at
        self._first_batch: list[StreamItem] = []
        self._has_begun = False
        self._error: NativeError | None = None
        self._batches = self._read()

    @property
    def usage(self) -> Usage | None:
        return self._parser.usage

    def unread_deltas(self) -> list[Json]:
        """The deltas that arrived and were not handed on: those of chunks that wait, and what the
        parser holds of incomplete pieces."""
        chunks = map(chunk_of, self._first_batch)
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        # A parser may fail on a wire that breaks its own rules; the answer is over in any case.
        with suppress(Exception):
            deltas.append(self._parser.pending_delta())
        return deltas

    async def begin(self) -> None:
        """Read until a chunk has content: until then a failure is still an ordinary HTTP error."""
        try:
            async for batch in self._batches:
                self._first_batch += batch
                if any(has_content(chunk_of(item)) for item in batch):
                    self._has_begun = True
                    return
        except UpstreamError as error:
            if error.code != "stream_truncated":
                raise
            raise UpstreamError("The provider's stream holds no answer.") from error

    async def __aiter__(self) -> AsyncIterator[list[StreamItem]]:
        batch, self._first_batch = self._first_batch, []
        if batch:
            yield batch
        while (next_batch := await self._next_batch()) is not None:
            yield next_batch

    async def _next_batch(self) -> list[StreamItem] | None:
        async with attributed(self.target):
            try:
                async with asyncio.timeout_at(self._next_deadline()):
                    return await anext(self._batches, None)
            except TimeoutError:
                raise UpstreamTimeout("The provider stopped in the middle of its answer.") from None

    def _next_deadline(self) -> float:
        now = asyncio.get_running_loop().time()
        return min(self._ends_at, now + self.target.timeouts.between_tokens)

    async def _read(self) -> AsyncIterator[list[StreamItem]]:
        media_type = (
            self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        )
        if media_type == "text/html":
            raise UpstreamError("The provider answered with a web page.")
        if media_type == "application/json":
            yield [await self._read_complete_reply()]
            return
        decoder = DECODERS[self._dialect.framing]()
        try:
            async with aclosing(transport.iter_body(self._response)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    batch = self._parse(decoder.feed(piece))
                    if batch:
                        yield batch
                    if self._error is not None:
                        raise self._error
        except ProviderFault:
            if self._error is not None or not self._parser.has_ended:
                raise
        yield self._parse(decoder.close()) + self._close_reader()

    def _parse(self, events: list[Event]) -> list[StreamItem]:
        """The items of these events.

        If an event is an error and the stream has begun, the chunks before it are handed on first.
        """
        feed, items = self._reader.feed, list[StreamItem]()
        try:
            for event in events:
                items.extend(feed(event))
        except Exception as error:
            log_failure(error, self.target)
            self._error = error if isinstance(error, NativeError) else _unreadable_event(error)
            if not items or not self._has_begun:
                raise self._error from error.__cause__
        return items

    def _close_reader(self) -> list[StreamItem]:
        try:
            return list(self._reader.close())
        except Exception as error:
            log_failure(error, self.target)
            if isinstance(error, NativeError):
                raise
            raise UpstreamError("The end of the provider's stream cannot be understood.") from error

    async def _read_complete_reply(self) -> StreamItem:
        """The reply of a server that ignores `stream`, or that sends an error with status 200."""
        body = await transport.read_body(self._response)
        completion: ChatCompletion
        completion, _ = parse_reply(CHAT, self._dialect, body, self.target)
        self._parser.usage = completion.get("usage")
        chunk = chunk_from_completion(completion)
        if self.editor is None:
            return chunk
        if self.editor.is_stamped:
            return ForwardedEvent(chunk, None)
        self.editor = None  # there are no events to forward
        return chunk

    async def aclose(self) -> None:
        try:
            await self._batches.aclose()  # type: ignore[attr-defined]
        finally:
            await self._response.aclose()


def _unreadable_event(error: Exception) -> UpstreamError:
    fault = UpstreamError("The provider sent a stream event that cannot be understood.")
    fault.__cause__ = error
    return fault


def chunk_of(item: StreamItem) -> ChatCompletionChunk:
    """What an item of a stream says."""
    return item.chunk if isinstance(item, ForwardedEvent) else item


def has_content(chunk: ChatCompletionChunk) -> bool:
    """Whether the chunk carries more than a role and empty text."""
    for choice in chunk["choices"]:
        if choice.get("finish_reason") or any(
            value for name, value in choice["delta"].items() if name != "role"
        ):
            return True
    return False


def chunk_from_completion(completion: ChatCompletion) -> ChatCompletionChunk:
    """One chunk with everything that `completion` says."""
    choices = [_chunk_choice(dict(choice)) for choice in completion["choices"]]
    rest = {
        name: value
        for name, value in completion.items()
        if name not in ("choices", "usage", "object")
    }
    return {**rest, "object": "chat.completion.chunk", "choices": choices}  # type: ignore[typeddict-item]


def _chunk_choice(choice: Json) -> Any:
    delta = dict(choice.pop("message"))
    if delta.get("tool_calls"):
        delta["tool_calls"] = [
            {"index": index, **call} for index, call in enumerate(delta["tool_calls"])
        ]
    return {**choice, "delta": delta}
