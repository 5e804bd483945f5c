"""The openai SDK's client on the bytes that are written: what its users see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from native_api.exceptions import (
    BudgetExceeded,
    InvalidApiKey,
    InvalidRequest,
    NativeError,
    RateLimited,
    UpstreamError,
)
from native_api.inbound.base import to_json
from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from tests.cases import each
from tests.inbound.responses.reading import parse_request
from tests.inbound.responses.request_reading import FORMAT
from tests.inbound.responses.test_stream import call, chunk, usage_chunk

pytestmark = pytest.mark.impure  # The SDK asks a process for the name of the processor.

EVENTS = "text/event-stream; charset=utf-8"


class Answer(BaseModel):
    color: str


@contextmanager
def client_of(content: bytes, status: int = 200, media_type: str = EVENTS) -> Iterator[OpenAI]:
    """A client whose server answers with these bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": media_type}
        return httpx2.Response(status, content=content, headers=headers)

    transport = httpx2.MockTransport(answer)
    with (
        httpx2.Client(transport=transport) as http_client,
        OpenAI(
            api_key="k", base_url="http://127.0.0.1/v1", http_client=http_client, max_retries=0
        ) as client,
    ):
        yield client


def completion_of(**message: Any) -> Any:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": "stop",
    }
    return {"id": "chatcmpl-1", "created": 5, "model": "m-1", "choices": [choice]}


def write(*chunks: Any) -> bytes:
    writer = ResponsesStreamWriter(parse_request())
    return writer.feed(chunks) + writer.close()


def test_a_complete_response_is_read() -> None:
    content = to_json(build_response(parse_request(), completion_of(content="Hello")))
    with client_of(content, media_type="application/json") as client:
        response = client.responses.create(model="m", input="Hi")
    assert response.output_text == "Hello"
    assert response.status == "completed"


def test_an_answer_is_parsed() -> None:
    content = to_json(build_response(parse_request(), completion_of(content='{"color": "red"}')))
    with client_of(content, media_type="application/json") as client:
        response = client.responses.parse(model="m", input="Hi", text_format=Answer)
    assert response.output_parsed == Answer(color="red")


def test_a_stream_is_folded() -> None:
    content = write(
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk(call(0, '{"a": 1}', "look", "call_1")),
        chunk({}, "tool_calls"),
        usage_chunk(),
    )
    with client_of(content) as client, client.responses.stream(model="m", input="Hi") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert texts == ["Hel", "lo"]
    assert response.output_text == "Hello"
    assert response.usage is not None
    assert response.usage.total_tokens == 5
    [called] = [item for item in response.output if item.type == "function_call"]
    assert (called.name, called.arguments, called.call_id) == ("look", '{"a": 1}', "call_1")


@each(
    "error, expected",
    [
        (InvalidRequest("No.", param="input"), openai.BadRequestError),
        (InvalidApiKey(), openai.AuthenticationError),
        (BudgetExceeded(), openai.APIStatusError),
        (RateLimited("Slower."), openai.RateLimitError),
        (UpstreamError("It broke."), openai.InternalServerError),
    ],
)
def test_an_error_instead_of_a_stream_is_raised(error: NativeError, expected: Any) -> None:
    content, status = FORMAT.error(error, "request-1"), FORMAT.status(error)
    with (
        client_of(content, status, "application/json") as client,
        pytest.raises(expected) as raised,
    ):
        client.responses.create(model="m", input="Hi", stream=True)
    assert error.message in str(raised.value)
    assert raised.value.status_code == error.status


PHASES = [
    chunk({"reasoning_content": "Hm"}),
    chunk({"content": "Hel"}),
    chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}),
    chunk({}, "tool_calls"),
]


@each("count", range(len(PHASES) + 1))
def test_a_failure_in_any_phase_is_the_sdks_error(count: int) -> None:
    writer = ResponsesStreamWriter(parse_request())
    content = writer.feed(PHASES[:count]) + writer.fail(UpstreamError("It broke."))
    with client_of(content) as client, pytest.raises(openai.APIError, match="It broke") as raised:
        list(client.responses.create(model="m", input="Hi", stream=True))
    assert (raised.value.code, raised.value.type) == ("server_error", "upstream_error")
    with (
        client_of(content) as client,
        client.responses.stream(model="m", input="Hi") as stream,
        pytest.raises(openai.APIError, match="It broke"),
    ):
        stream.get_final_response()


def test_a_comment_between_events_is_ignored() -> None:
    writer = ResponsesStreamWriter(parse_request())
    content = b"".join(
        [
            writer.ping(),
            writer.feed([chunk({"content": "Hi"})]),
            writer.ping(),
            writer.feed([chunk({}, "stop")]),
            writer.close(),
        ]
    )
    with client_of(content) as client, client.responses.stream(model="m", input="Hi") as stream:
        assert stream.get_final_response().output_text == "Hi"
