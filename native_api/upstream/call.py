"""One exchange with one target: the dialect's request goes out, its reply or its stream of chunks
comes back.

Timeouts: connecting has its own; the first chunk of a stream has `first_token`, each later piece
`between_tokens`, everything together `total`, which is also the one for a complete reply: its first
byte comes with its last token. Whatever goes wrong leaves as an error of `exceptions`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
import orjson

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect, Framing, StreamParser, encode
from native_api.dialects.shared.nesting import MAX_DEPTH, check_value_depth, count_brackets
from native_api.exceptions import NativeError, ProviderFault, UpstreamError, UpstreamTimeout
from native_api.types import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Event,
    Json,
    Target,
    UpstreamRequest,
    Usage,
)
from native_api.upstream import transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.auth.methods import authorize
from native_api.upstream.decoders import aws_eventstream, ndjson, sse
from native_api.upstream.faults import seconds_until, should_retry, was_sent
from native_api.upstream.files import inline
from native_api.upstream.redaction import attribute

MAX_ERROR_BYTES: Final = 256 * 1024
ACCEPTED: Final = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "eventstream": "application/vnd.amazon.eventstream",
}


class Decoder(Protocol):
    def feed(self, data: bytes) -> list[Event]: ...
    def close(self) -> list[Event]: ...


DECODERS: Final[dict[Framing, Callable[[], Decoder]]] = {
    "sse": sse.SSEDecoder,
    "ndjson": ndjson.NDJSONDecoder,
    "eventstream": aws_eventstream.AWSEventStreamDecoder,
}


@dataclass(slots=True)
class UpstreamCompletion:
    """A complete reply, and the hints that could not be said."""

    target: Target
    completion: ChatCompletion
    omitted: tuple[str, ...]

    @property
    def usage(self) -> Usage | None:
        return self.completion.get("usage")

    def unread(self) -> list[Json]:
        return [choice["message"] for choice in self.completion["choices"]]

    async def aclose(self) -> None:
        """Nothing is open any more."""


@dataclass(slots=True)
class PreparedRequest:
    """A request as one target gets it: built and encoded once, however often it is sent there.

    `wire` is the dialect's name; "" while remote files are still to be fetched: then the body is
    the unified request, not what is sent. `tokens` is an estimate of its input, 0 until somebody
    makes one.
    """

    target: Target
    wire: str
    request: UpstreamRequest
    tokens: int = 0

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def content(self) -> bytes:
        return self.request.content


def prepare(chat: ChatRequest, target: Target) -> PreparedRequest:
    """The request for this target, or, if it names files to be fetched first, all that is known of
    it. Waits for nobody.

    Raises UnsupportedField, InvalidRequest.
    """
    dialect = DIALECTS[target.provider.dialect]
    if inline.wanted(chat, dialect.remote_files, target.provider):
        unified: Any = chat
        return PreparedRequest(target, "", UpstreamRequest("", unified, content=encode(unified)))
    return _built(chat, dialect, target)


async def fetch_files(chat: ChatRequest, target: Target) -> PreparedRequest:
    """`prepare` for a request whose remote files are fetched now. Raises as it does."""
    dialect = DIALECTS[target.provider.dialect]
    return _built(
        await inline.inlined(chat, dialect.remote_files, target.provider), dialect, target
    )


def _built(chat: ChatRequest, dialect: Dialect, target: Target) -> PreparedRequest:
    request = dialect.request(chat, target)
    inline.refuse_addresses(request.body, chat, target.provider)
    return PreparedRequest(target, dialect.name, request)


async def complete(prepared: PreparedRequest, attempts: AttemptLog) -> UpstreamCompletion:
    """The whole reply. Counts what was sent in `attempts`. Raises ProviderFault."""
    target = prepared.target
    dialect = DIALECTS[target.provider.dialect]
    async with _attributed(target), _deadline(target.timeouts.total):
        response = await _send(prepared, "application/json", attempts)
        try:
            await _refuse_errors(response, dialect, target)
            body = await transport.read(response)
        finally:
            await response.aclose()
        return UpstreamCompletion(target, _reply(dialect, body, target), prepared.request.omitted)


async def open_stream(prepared: PreparedRequest, attempts: AttemptLog) -> UpstreamStream:
    """The stream, once its first chunk that says something is there. Counts and raises as
    `complete`."""
    target = prepared.target
    dialect, timeouts = DIALECTS[target.provider.dialect], target.timeouts
    deadline = asyncio.get_running_loop().time() + timeouts.total
    async with _attributed(target), _deadline(min(timeouts.first_token, timeouts.total)):
        response = await _send(prepared, ACCEPTED[dialect.framing], attempts)
        try:
            await _refuse_errors(response, dialect, target)
            stream = UpstreamStream(response, dialect, target, prepared.request.omitted, deadline)
            await stream.begin()
        except BaseException:
            await response.aclose()
            raise
    return stream


class UpstreamStream:
    """The chunks of one reply, in batches: all that one read completed. `usage` is true at any
    moment.

    Iterating raises ProviderFault where the reply breaks. `aclose` closes the upstream connection.
    """

    def __init__(
        self,
        response: httpx.Response,
        dialect: Dialect,
        target: Target,
        omitted: tuple[str, ...],
        deadline: float,
    ) -> None:
        self.target = target
        self.omitted = omitted
        self._response = response
        self._dialect = dialect
        self._parser: StreamParser = dialect.stream(target)
        self._deadline = deadline
        self._held: list[ChatCompletionChunk] = []
        self._has_begun = False
        self._break: NativeError | None = None
        self._batches = self._read()

    @property
    def usage(self) -> Usage | None:
        return self._parser.usage

    def unread(self) -> list[Json]:
        """The deltas that were read and not handed on: chunks that wait, and what the parser holds
        of pieces that are not whole."""
        waiting = [choice["delta"] for chunk in self._held for choice in chunk["choices"]]
        with suppress(
            Exception
        ):  # of a wire that breaks its own rules; the answer is over in any case
            waiting.append(self._parser.pending_delta())
        return waiting

    async def begin(self) -> None:
        """Read on until a chunk says something: until then a failure is still an ordinary HTTP
        error."""
        try:
            async for batch in self._batches:
                self._held += batch
                if any(says_something(chunk) for chunk in batch):
                    self._has_begun = True
                    return
        except UpstreamError as error:
            if error.code != "stream_truncated":
                raise
            raise UpstreamError("The provider's stream holds no answer.") from error

    async def __aiter__(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        held, self._held = self._held, []
        if held:
            yield held
        while (batch := await self._next()) is not None:
            yield batch

    async def _next(self) -> list[ChatCompletionChunk] | None:
        async with _attributed(self.target):
            try:
                async with asyncio.timeout_at(self._next_limit()):
                    return await anext(self._batches, None)
            except TimeoutError:
                raise UpstreamTimeout("The provider stopped in the middle of its answer.") from None

    def _next_limit(self) -> float:
        now = asyncio.get_running_loop().time()
        return min(self._deadline, now + self.target.timeouts.between_tokens)

    async def _read(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        media_type = (
            self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        )
        if media_type == "text/html":
            raise UpstreamError("The provider answered with a web page.")
        if media_type == "application/json":
            yield await self._whole_reply()
            return
        decoder = DECODERS[self._dialect.framing]()
        async with aclosing(transport.pieces(self._response)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                batch = self._parse(decoder.feed(piece))
                if batch:
                    yield batch
                if self._break is not None:
                    raise self._break
        batch = self._parse(decoder.close())
        yield batch + list(_guarded(self._parser.close))

    def _parse(self, events: list[Event]) -> list[ChatCompletionChunk]:
        """The chunks that these events mean. Of a stream that has begun, those before an error
        count, and it breaks after them."""
        feed, chunks = self._parser.feed, list[ChatCompletionChunk]()
        try:
            for event in events:
                chunks.extend(feed(event))
        except Exception as error:
            self._break = error if isinstance(error, NativeError) else _not_understood(error)
            if not chunks or not self._has_begun:
                raise self._break from error.__cause__
        return chunks

    async def _whole_reply(self) -> list[ChatCompletionChunk]:
        """A server that ignores `stream`, or that answers an error with status 200."""
        completion = _reply(self._dialect, await transport.read(self._response), self.target)
        self._parser.usage = completion.get("usage")
        return [chunk_of(completion)]

    async def aclose(self) -> None:
        try:
            await self._batches.aclose()  # type: ignore[attr-defined]
        finally:
            await self._response.aclose()


def _not_understood(error: Exception) -> UpstreamError:
    fault = UpstreamError("The provider sent a stream event that cannot be understood.")
    fault.__cause__ = error
    return fault


def says_something(chunk: ChatCompletionChunk) -> bool:
    """Whether the chunk carries more than a role and empty text."""
    for choice in chunk["choices"]:
        if choice.get("finish_reason") or any(
            value for name, value in choice["delta"].items() if name != "role"
        ):
            return True
    return False


def chunk_of(completion: ChatCompletion) -> ChatCompletionChunk:
    """The one chunk that says all of `completion`."""
    choices = [_chunk_choice(dict(choice)) for choice in completion["choices"]]
    head = {
        name: value
        for name, value in completion.items()
        if name not in ("choices", "usage", "object")
    }
    return {**head, "object": "chat.completion.chunk", "choices": choices}  # type: ignore[typeddict-item]


def _chunk_choice(choice: Json) -> Any:
    delta = dict(choice.pop("message"))
    if delta.get("tool_calls"):
        delta["tool_calls"] = [
            {"index": index, **call} for index, call in enumerate(delta["tool_calls"])
        ]
    return {**choice, "delta": delta}


async def _send(prepared: PreparedRequest, accept: str, attempts: AttemptLog) -> httpx.Response:
    target, request, content = prepared.target, prepared.request, prepared.content
    request.headers = {
        "content-type": "application/json",
        "accept": accept,
        "accept-encoding": "identity",
        "user-agent": "django-native-api",
        **request.headers,
    }
    headers = await authorize(request, "POST", content, target.provider)
    attempts.count += 1
    attempts.sent_tokens = prepared.tokens
    try:
        return await transport.send("POST", request.url, headers, content, target.timeouts.connect)
    except ProviderFault as fault:
        attempts.count -= not was_sent(fault)
        raise


async def _refuse_errors(response: httpx.Response, dialect: Dialect, target: Target) -> None:
    """Raise for everything but a success."""
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise UpstreamError(
            f"The provider answered {status}, a redirect. Redirects are not followed.",
            upstream_status=status,
        )
    body = await _beginning(response)
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        error = dialect.error(status, headers, body)
    except Exception:
        error = UpstreamError(f"The provider answered {status}.", upstream_status=status)
    error.should_retry = should_retry(headers.get("x-should-retry"))
    if error.retry_after is None:
        error.retry_after = seconds_until(headers.get("retry-after"), time.time())
    raise error


async def _beginning(response: httpx.Response) -> bytes:
    """The error body, b"" where it is too long or the connection breaks."""
    try:
        return await transport.read(response, MAX_ERROR_BYTES)
    except ProviderFault:
        return b""


def _reply(dialect: Dialect, body: bytes, target: Target) -> ChatCompletion:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError("The provider's answer is not JSON.") from None
    if count_brackets(body) > MAX_DEPTH:
        check_value_depth(parsed)
    state = dialect.unfinished_state(parsed)
    if state:
        raise UpstreamError(f"The provider has not answered: the response is {state}.")
    try:
        return dialect.response(parsed, target)
    except NativeError:
        raise
    except Exception as error:
        raise UpstreamError("The provider's answer cannot be understood.") from error


def _guarded(chunks: Callable[[], Iterable[ChatCompletionChunk]]) -> Iterable[ChatCompletionChunk]:
    try:
        return list(chunks())
    except NativeError:
        raise
    except Exception as error:
        raise UpstreamError("The end of the provider's stream cannot be understood.") from error


class _attributed:
    """Makes the provider known in every fault that leaves."""

    def __init__(self, target: Target) -> None:
        self._provider = target.provider

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProviderFault):
            attribute(error, self._provider)


class _deadline:
    """`asyncio.timeout` whose end is an UpstreamTimeout."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            raise UpstreamTimeout from None
