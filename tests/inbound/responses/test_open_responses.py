"""The compliance cases of Open Responses (https://github.com/openresponses/openresponses,
src/lib/compliance-tests.ts, read 2026-11), each by its id: requests that every wire takes, and
responses and events that the specification's types accept.

`previous-response-id` needs kept responses: tests/clients/test_kept_conversations.py. The optional cases
need a vector store, and a provider with web search.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import openresponses_types
from openresponses_types import ResponseResource
from pydantic import BaseModel

from native_api.dialects import DIALECTS
from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.types import ClientBody
from tests.cases import Cases, each, for_each
from tests.dialects.reply_reading import make_target
from tests.inbound.contexts import context_of
from tests.inbound.recorded_replies import RecordedReply, load_replies
from tests.inbound.responses.reading import Event, split_events
from tests.inbound.responses.request_reading import FORMAT

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
PDF = "data:application/pdf;base64,JVBERi0xLjEKJSVFT0Y="
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
CHOICE = {"type": "function", "name": "get_weather"}
ITEM_TYPES = frozenset({"message", "function_call", "reasoning"})
"""The items of the specification that replies have."""


def message(content: Any, role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": content}


REQUESTS: dict[str, Any] = {
    "basic-response": {"input": [message("Say hello in three words.")]},
    "streaming-response": {"input": [message("Count to five.")], "stream": True},
    "system-prompt": {"input": [message("You are a pirate.", "system"), message("Say hello.")]},
    "tool-calling": {"input": [message("What is the weather?")], "tools": [TOOL]},
    "tool-calling-streaming": {
        "input": [message("What is the weather?")],
        "tools": [TOOL],
        "stream": True,
    },
    "image-input": {
        "input": [
            message(
                [
                    {"type": "input_text", "text": "What do you see?"},
                    {"type": "input_image", "image_url": PNG},
                ]
            )
        ]
    },
    "file-input": {
        "input": [
            message(
                [
                    {"type": "input_text", "text": "What is its title?"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
                ]
            )
        ]
    },
    "multi-turn": {
        "input": [
            message("My name is Alice."),
            message("Hello Alice!", "assistant"),
            message("What is my name?"),
        ]
    },
    "function-call-roundtrip": {
        "input": "What is the weather?",
        "tools": [TOOL],
        "tool_choice": CHOICE,
    },
}
WIRES = ("anthropic", "bedrock", "cohere", "gemini", "ollama", "openai", "openai_responses")
UNSUITABLE = {"file-input": {"cohere", "ollama"}, "function-call-roundtrip": {"ollama"}}
"""Wires that take no PDF, or on which no model can be made to call a tool."""


def load_requests() -> Cases:
    return REQUESTS.items()


def parse(body: Any) -> Any:
    return FORMAT.parse({"model": "m", **body}, context_of())


def make_chunks(delta: Any, reason: str) -> list[Any]:
    """A reply of one delta."""
    head = {"id": "chatcmpl-1", "created": 5, "model": "m-1", "object": "chat.completion.chunk"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {**head, "choices": [], "usage": usage},
    ]


TEXT = {"role": "assistant", "content": "Hello, dear world."}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"location": "Paris"}'},
}


def answer(parsed: Any) -> list[Event]:
    """The events of a model that calls a tool if there is one, and otherwise says hello."""
    calls = {"role": "assistant", "tool_calls": [{"index": 0, **CALL}]}
    tools = parsed.client_body.body.get("tools")
    chunks = make_chunks(calls, "tool_calls") if tools else make_chunks(TEXT, "stop")
    writer = ResponsesStreamWriter(parsed)
    return split_events(writer.feed(chunks) + writer.close())


@each("case", REQUESTS)
def test_every_wire_takes_the_request(case: str) -> None:
    unified = parse(REQUESTS[case]).client_body.unified
    for wire in WIRES:
        if wire not in UNSUITABLE.get(case, ()):
            DIALECTS[wire].request(unified, make_target(wire))


@for_each(load_requests)
def test_every_response_is_of_the_specified_types(body: Any) -> None:
    events = answer(parse(body))
    for event in events:
        event_type(event["type"]).model_validate(event)
    response = ResponseResource.model_validate(events[-1]["response"])
    assert response.status == "completed"
    assert response.output


@for_each(lambda: [(name, REQUESTS[name]) for name in REQUESTS if "tool" in name])
def test_a_tool_is_called(body: Any) -> None:
    events = answer(parse(body))
    kinds = [event["type"] for event in events]
    for kind in (
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
    ):
        assert kind in kinds
    for kind in ("response.output_item.added", "response.output_item.done"):
        [event] = [event for event in events if event["type"] == kind]
        assert event["item"]["type"] == "function_call"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call"]


def test_the_result_of_a_call_is_taken() -> None:
    first = answer(parse(REQUESTS["function-call-roundtrip"]))[-1]["response"]
    [call] = first["output"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}
    question = message(REQUESTS["function-call-roundtrip"]["input"])
    parsed = parse({"input": [question, call, result], "tools": [TOOL]})
    client_body: ClientBody = parsed.client_body
    assert [each["role"] for each in client_body.unified["messages"]] == [
        "user",
        "assistant",
        "tool",
    ]
    for wire in WIRES:
        DIALECTS[wire].request(client_body.unified, make_target(wire))


# --- all recorded replies ------------------------------------------------------------------------


@cache
def event_type(name: str) -> type[BaseModel]:
    """The specification's type of an event."""
    types = [
        value
        for type_name, value in vars(openresponses_types).items()
        if type_name.endswith("StreamingEvent")
    ]
    return next(each for each in types if name in list(each.model_fields["type"].annotation))


@for_each(load_replies)
def test_recorded_replies_are_of_the_specified_types(reply: RecordedReply) -> None:
    """As far as the specification has their items and annotations."""
    response = build_response(parse(REQUESTS["basic-response"]), reply.completion)
    output = [item for item in response["output"] if item["type"] in ITEM_TYPES]
    for part in (part for item in output for part in item.get("content") or ()):
        part["annotations"] = [
            each for each in part.get("annotations") or () if each["type"] == "url_citation"
        ]
    ResponseResource.model_validate({**response, "output": output})
