"""A response as a stream: a translated reply, or the events of a provider of this API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from native_api.dialects.guards import guard
from native_api.exceptions import NativeError
from native_api.inbound.base import ParsedRequest, StreamWriter
from native_api.inbound.openai.chat import KEEP_ALIVE
from native_api.inbound.openai.responses.events import EventWriter
from native_api.inbound.openai.responses.forward import ForwardedResponse
from native_api.inbound.openai.responses.output import ReplyOutput
from native_api.inbound.openai.responses.reply import add_message, read_tokens, start_output
from native_api.inbound.openai.responses.response_object import (
    INCOMPLETE_REASONS,
    ResponseHead,
    build_end,
    build_error,
    build_usage,
    read_reply_members,
)
from native_api.types import ChatCompletionChunk, ForwardedEvent, Json


class ResponsesStreamWriter(StreamWriter):
    """Writes one response, with `feed` or with `forward`.

    `finish` returns the whole response, before `close` writes its last event. `is_stored` says
    what that event answers as `store`, None if only the provider knows.
    """

    def __init__(self, parsed: ParsedRequest) -> None:
        self.is_stored: bool | None = parsed.echo.get("store")
        self._parsed = parsed
        self._events = EventWriter()
        self._forwarded: ForwardedResponse | None = None
        self._head: ResponseHead | None = None
        self._output: ReplyOutput | None = None
        self._finish_reason: str | None = None
        self._usage: Any = None
        self._members: Json = {}
        self._response: Json | None = None

    @guard
    def feed(self, chunks: Iterable[ChatCompletionChunk]) -> bytes:
        for chunk in chunks:
            output = self._output or self._begin(chunk)
            if not chunk["choices"]:
                self._usage = chunk.get("usage")  # type: ignore[typeddict-item]
                continue
            choice = chunk["choices"][0]
            delta = choice["delta"]
            if choice["index"]:
                continue  # A response has one choice.
            if (
                output.text_part is not None
                and len(delta) == 1
                and delta.get("content")
                and choice["finish_reason"] is None
                and not choice.get("logprobs")
            ):
                output.add_text(delta["content"])
            else:
                self._add(output, chunk, choice)
        return self._events.take()

    def _begin(self, chunk: Any) -> ReplyOutput:
        head = self._head = ResponseHead(self._parsed, chunk)
        self._output = start_output(self._parsed, head, self._events)
        started = orjson.Fragment(orjson.dumps(head.build([], {})))
        self._events.write("created", {"response": started})
        self._events.write("in_progress", {"response": started})
        return self._output

    def _add(self, output: ReplyOutput, chunk: Any, choice: Any) -> None:
        tokens = read_tokens(choice)
        if choice["finish_reason"] is not None and not output.items:
            add_message(output, choice["delta"], tokens)
        else:
            output.add(choice["delta"], tokens)
        self._members |= read_reply_members(chunk)
        if choice["finish_reason"] is not None and self._finish_reason is None:
            self._finish_reason = choice["finish_reason"]
            output.finish(self._finish_reason in INCOMPLETE_REASONS)

    def forward(self, events: Iterable[ForwardedEvent]) -> bytes:
        if self._forwarded is None:
            self._forwarded = ForwardedResponse(self._parsed)
        return self._forwarded.forward(events)

    def ping(self) -> bytes:
        return KEEP_ALIVE

    def finish(self) -> Json:
        """The whole response. May be called again."""
        if self._forwarded is not None:
            return self._forwarded.finish()
        if self._response is None:
            self._response = self._build()
        return self._response

    def _build(self) -> Json:
        output = self._output or self._begin({})
        if self._finish_reason is None:
            output.finish(is_incomplete=False)
        assert self._head is not None
        usage = {"usage": build_usage(self._usage)}
        members = {**build_end(self._finish_reason), **self._members, **usage}
        return self._head.build(output.build(), members)

    def close(self) -> bytes:
        response = self.finish()
        if self.is_stored is not None:
            response = {**response, "store": self.is_stored}
        if self._forwarded is not None:
            return self._forwarded.close(response)
        self._events.write(response["status"], {"response": response})
        return self._events.take()

    def fail(self, error: NativeError) -> bytes:
        failure: Json = {"status": "failed", "error": build_error(error)}
        if self.is_stored:  # only whole responses are kept
            failure["store"] = False
        if self._forwarded is not None:
            return self._forwarded.fail(failure)
        output = self._output or self._begin({})
        assert self._head is not None
        output.break_off()
        response = self._head.build(output.build(), failure)
        self._events.write_failure(response)
        return self._events.take()
