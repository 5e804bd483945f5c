"""What the scripted provider answers with: replies and failures, written on OpenAI's wire."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
import orjson

from native_api.types import Json

DEFAULT_REPLY: Final = "(scripted reply)"
"""The text of replies that nothing was scripted for."""

CREATED: Final = 1_700_000_000
"""When scripted replies are created, in Unix seconds."""

WORDS: Final = re.compile(r"\S+\s*|\s+")

Breakdown = Literal["timeout", "unreachable"]
"""A failure without a status: the provider does not answer in time, or cannot be reached."""


def completion(
    content: str | None = DEFAULT_REPLY,
    *,
    tool_calls: Sequence[Mapping[str, Any]] = (),
    usage: Mapping[str, Any] | None = None,
    finish_reason: str = "",
    **message: Any,
) -> Json:
    """A complete reply, as OpenAI's API sends it.

    `message` are more members of the message, such as `refusal` or `reasoning_content`. Without
    `usage`, the prompt has 10 tokens, and each word of `content` counts as one. The scripted
    provider adds `model` if it is missing.
    """
    if tool_calls:
        message["tool_calls"] = [dict(call) for call in tool_calls]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason or ("tool_calls" if tool_calls else "stop"),
    }
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": CREATED,
        "choices": [choice],
        "usage": _with_total(usage or _count_words(content)),
    }


def tool_call(name: str, arguments: Mapping[str, Any], id: str = "") -> Json:
    """A call of the tool `name`, as a reply contains it."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": id or f"call_{name}", "type": "function", "function": function}


def embeddings(vectors: Sequence[Sequence[float]]) -> Json:
    """A reply with one vector for each input."""
    data = [
        {"object": "embedding", "index": index, "embedding": list(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    return {"object": "list", "data": data, "usage": usage}


def _count_words(content: str | None) -> dict[str, int]:
    return {"prompt_tokens": 10, "completion_tokens": len(_words(content))}


def _words(content: str | None) -> list[str]:
    return WORDS.findall(content or "")


def _with_total(usage: Mapping[str, Any]) -> dict[str, Any]:
    total = usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": total, **usage}


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply with this body. `chunks` are the pieces of its text in a stream; () for its words."""

    body: Mapping[str, Any]
    chunks: Sequence[str] = ()

    def answers(self, endpoint: str) -> bool:
        """Whether it is a reply of this endpoint: a text does not answer a request for
        embeddings."""
        return ("choices" in self.body) == endpoint.endswith("completions")

    def to_response(self, request: Mapping[str, Any]) -> httpx.Response:
        """The response to a request with this body."""
        body = {"model": request.get("model", ""), **self.body}
        if request.get("stream") and "choices" in body:
            return _event_stream(_reply_events(body, self.chunks))
        return httpx.Response(200, content=orjson.dumps(body), headers=JSON_HEADERS)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the provider. A stream sends the chunks `after` before it fails."""

    status: int | Breakdown
    message: str = ""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: Sequence[str] = ()

    def answers(self, endpoint: str) -> bool:
        return True

    def to_response(self, request: Mapping[str, Any]) -> httpx.Response:
        """The response to a request with this body. Raises httpx.TransportError if there is
        none."""
        if request.get("stream") and self.after:
            head = _chunk_head(request)
            return _event_stream(_text_events(head, self.after), self)
        if isinstance(self.status, str):
            raise self.transport_error()
        return httpx.Response(
            self.status, content=self.body(), headers={**JSON_HEADERS, **self.headers}
        )

    def body(self) -> bytes:
        message = self.message or f"The scripted provider fails with {self.status}."
        error = {"message": message, "type": "error", "code": self.code, "status": self.status}
        return orjson.dumps({"error": error})

    def transport_error(self) -> httpx.TransportError:
        if self.status == "timeout":
            return httpx.ReadTimeout("scripted")
        return httpx.ConnectError("scripted")


Answer = Reply | Failure

JSON_HEADERS: Final = {"content-type": "application/json"}


# --- streams -------------------------------------------------------------------------------------


def _reply_events(body: Mapping[str, Any], chunks: Sequence[str]) -> Iterator[bytes]:
    """One event for the role, one for each piece of text, and one for all other members."""
    head = _chunk_head(body)
    for choice in body["choices"]:
        message = dict(choice["message"])
        content = message.pop("content", None)
        calls = message.pop("tool_calls", None) or ()
        if calls:
            message["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
        yield from _text_events(head, chunks or _words(content), choice["index"])
        yield _event(head, message, choice["index"], choice["finish_reason"])
    yield _data({**head, "choices": [], "usage": body.get("usage")})
    yield b"data: [DONE]\n\n"


def _chunk_head(body: Mapping[str, Any]) -> Json:
    """What is the same in all chunks of a reply."""
    return {
        "id": body.get("id", ""),
        "object": "chat.completion.chunk",
        "created": body.get("created", CREATED),
        "model": body["model"],
    }


def _text_events(head: Json, pieces: Sequence[str], index: int = 0) -> Iterator[bytes]:
    yield _event(head, {"role": "assistant", "content": ""}, index)
    for piece in pieces:
        yield _event(head, {"content": piece}, index)


def _event(
    head: Json, delta: Mapping[str, Any], index: int, finish_reason: str | None = None
) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return _data({**head, "choices": [choice]})


def _data(value: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _event_stream(events: Iterator[bytes], failure: Failure | None = None) -> httpx.Response:
    return httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        stream=_EventStream(events, failure),
    )


class _EventStream(httpx.AsyncByteStream):
    """Each event arrives by itself. A failure comes last, as an event or as a broken connection."""

    def __init__(self, events: Iterator[bytes], failure: Failure | None) -> None:
        self._events, self._failure = events, failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._events:
            yield event
        if self._failure is None:
            return
        if isinstance(self._failure.status, str):
            raise self._failure.transport_error()
        yield b"data: " + self._failure.body() + b"\n\n"
