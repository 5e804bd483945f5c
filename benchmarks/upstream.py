"""The mock provider of the benchmarks: answers every request of the wires of Chat Completions,
Responses and Messages at once, from bytes made beforehand.

python -m benchmarks.upstream PORT
"""

from __future__ import annotations

import asyncio
import json
import sys

CHUNKS = 200
LONG_CHUNKS = 1000


def _completion() -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello there, how are you?"},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "mock",
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(body).encode()


def _chunk(choices: list[dict[str, object]], **rest: object) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "mock",
        "choices": choices,
        **rest,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _stream(count: int) -> list[bytes]:
    words = [
        _chunk([{"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}])
        for number in range(count)
    ]
    end = _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = _chunk(
        [], usage={"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count}
    )
    return [*words, end, usage, b"data: [DONE]\n\n"]


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "model": "mock",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "store": False,
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 16,
    },
}
ITEM = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello there, how are you?", "annotations": []}],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "mock",
    "content": [{"type": "text", "text": "Hello there, how are you?"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 7},
}


def _event(data: dict[str, object]) -> bytes:
    encoded = json.dumps(data, separators=(",", ":")).encode()
    return f"event: {data['type']}\ndata: ".encode() + encoded + b"\n\n"


def _responses_stream(count: int) -> list[bytes]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    text = "".join(f"word{number} " for number in range(count))
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    item = {**ITEM, "content": [{**part, "text": text}]}
    deltas = [
        {"type": "response.output_text.delta", **place, "delta": f"word{number} ", "logprobs": []}
        for number in range(count)
    ]
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
        {"type": "response.in_progress", "response": {**RESPONSE, "status": "in_progress"}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**ITEM, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": part},
        *deltas,
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**RESPONSE, "output": [item]}},
    ]
    return [_event({**event, "sequence_number": index}) for index, event in enumerate(events)]


def _messages_stream(count: int) -> list[bytes]:
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": f"word{number} "},
        }
        for number in range(count)
    ]
    start = {**MESSAGE, "content": [], "stop_reason": None}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": start},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": count},
        },
        {"type": "message_stop"},
    ]
    return [_event(event) for event in events]


COMPLETION = _completion()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = _stream(CHUNKS)


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _at_once(events: list[bytes]) -> bytes:
    """A stream in a few pieces, as a fast provider sends it."""
    pieces = [b"".join(events[start : start + 4]) for start in range(0, len(events), 4)]
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


WHOLE = {
    b"/chat/completions": _whole(COMPLETION),
    b"/responses": _whole(json.dumps({**RESPONSE, "output": [ITEM]}).encode()),
    b"/messages": _whole(json.dumps(MESSAGE).encode()),
}
"""The end of the path -> the complete reply."""

STREAMS = {
    end: {count: _at_once(make(count)) for count in (CHUNKS, LONG_CHUNKS)}
    for end, make in (
        (b"/chat/completions", _stream),
        (b"/responses", _responses_stream),
        (b"/messages", _messages_stream),
    )
}
"""The end of the path -> the streams by their number of chunks."""


class Provider(asyncio.Protocol):
    """Speaks just enough HTTP for a well-behaved client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self.received = b""
        path = head.split(b" ", 2)[1]
        end = next(end for end in WHOLE if path.endswith(end))
        if b'"stream":true' not in body:
            self.transport.write(WHOLE[end])
        elif b'"mock-slow"' in body:
            asyncio.get_running_loop().create_task(self._drip())
        else:
            count = LONG_CHUNKS if b'"mock-long"' in body else CHUNKS
            self.transport.write(STREAMS[end][count])

    async def _drip(self) -> None:
        """Every event by itself, over ten seconds."""
        self.transport.write(HEAD)
        for event in EVENTS:
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(10 / CHUNKS)
        self.transport.write(b"0\r\n\r\n")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(serve(int(sys.argv[1])))
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
