"""A model that is only in the Responses API, through a real server, with the official SDK as a
client of Chat Completions."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.front.conftest import sdk_for
from tests.scripted_provider import Exchange, Script, Upstream, cuts, says, streams
from tests.servers import Site

QUESTION: Any = {"role": "user", "content": "What is the weather in Zürich?"}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "**Looking it up**"}],
    "encrypted_content": "gAAAAA",
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city": "Zürich"}',
}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "It is 3 °C.", "annotations": []}],
}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 16},
    "total_tokens": 50,
}


def response(*output: Any, **rest: Any) -> dict[str, Any]:
    head = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1741476542,
        "status": "completed",
        "model": "gpt-5-pro",
    }
    return {
        **head,
        "error": None,
        "incomplete_details": None,
        "output": list(output),
        "usage": USAGE,
        **rest,
    }


def event(kind: str, **rest: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n".encode()


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


CREATED = event("response.created", response=response(status="in_progress", usage=None))


def thinks_and_calls() -> list[bytes]:
    summary, arguments = halves("**Looking it up**"), halves(CALL["arguments"])
    return [
        CREATED,
        event(
            "response.output_item.added",
            output_index=0,
            item={**THOUGHT, "summary": [], "encrypted_content": "gA"},
        ),
        *(
            event(
                "response.reasoning_summary_text.delta",
                item_id="rs_1",
                output_index=0,
                summary_index=0,
                delta=half,
            )
            for half in summary
        ),
        event("response.output_item.done", output_index=0, item=THOUGHT),
        event("response.output_item.added", output_index=1, item={**CALL, "arguments": ""}),
        *(
            event(
                "response.function_call_arguments.delta", item_id="fc_1", output_index=1, delta=half
            )
            for half in arguments
        ),
        event("response.output_item.done", output_index=1, item=CALL),
        event("response.completed", response=response(THOUGHT, CALL)),
    ]


def answers() -> list[bytes]:
    deltas = [
        event(
            "response.output_text.delta",
            item_id="msg_1",
            output_index=0,
            content_index=0,
            delta=half,
        )
        for half in halves("It is 3 °C.")
    ]
    return [CREATED, *deltas, event("response.completed", response=response(ANSWER))]


async def weather(exchange: Exchange) -> None:
    """Calls the tool first, answers once the result is there; complete or streamed, as asked."""
    body = exchange.received.body
    has_result = any(item.get("type") == "function_call_output" for item in body["input"])
    if body.get("stream"):
        script: Script = streams(*(answers() if has_result else thinks_and_calls()))
    else:
        script = says(response(ANSWER) if has_result else response(THOUGHT, CALL))
    await script(exchange)


@pytest.fixture(scope="module", autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.script("gpt-5-pro", weather)


def check_conversation(upstream: Upstream) -> None:
    """The last request brought the model's own turn back, reasoning first."""
    received = upstream.requests_for("gpt-5-pro")[-1]
    assert received.path == "/v1/responses"
    assert received.body["store"] is False
    assert received.body["include"] == ["reasoning.encrypted_content"]
    assert received.body["input"] == [
        QUESTION,
        THOUGHT,
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Zürich"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "3 °C"},
    ]


def test_a_conversation_with_a_tool(sdk: openai.OpenAI, upstream: Upstream) -> None:
    ask: Any = {"model": "responses/gpt-5-pro", "tools": [TOOL], "reasoning_effort": "high"}
    first = sdk.chat.completions.create(messages=[QUESTION], **ask)
    message = first.choices[0].message
    assert (first.choices[0].finish_reason, message.tool_calls[0].id) == ("tool_calls", "call_1")  # type: ignore[index]
    assert message.reasoning_content == "**Looking it up**"  # type: ignore[attr-defined]
    assert upstream.requests_for("gpt-5-pro")[-1].body["reasoning"] == {
        "effort": "high",
        "summary": "auto",
    }
    result = {"role": "tool", "tool_call_id": "call_1", "content": "3 °C"}
    second = sdk.chat.completions.create(messages=[QUESTION, message, result], **ask)
    assert second.choices[0].message.content == "It is 3 °C."
    assert second.usage is not None
    assert (
        second.usage.prompt_tokens,
        second.usage.completion_tokens,
        second.usage.total_tokens,
    ) == (20, 30, 50)
    assert second.usage.prompt_tokens_details.cached_tokens == 8  # type: ignore[union-attr]
    check_conversation(upstream)


def test_a_streamed_conversation_with_a_tool(sdk: openai.OpenAI, upstream: Upstream) -> None:
    ask: Any = {"model": "responses/gpt-5-pro", "tools": [TOOL]}
    with sdk.chat.completions.stream(messages=[QUESTION], **ask) as stream:
        first = stream.get_final_completion()
    message = first.choices[0].message
    assert (first.choices[0].finish_reason, message.tool_calls[0].function.arguments) == (
        "tool_calls",
        '{"city": "Zürich"}',
    )  # type: ignore[index]
    result = {"role": "tool", "tool_call_id": "call_1", "content": "3 °C"}
    with sdk.chat.completions.stream(
        messages=[QUESTION, message, result], stream_options={"include_usage": True}, **ask
    ) as stream:
        second = stream.get_final_completion()
    assert second.choices[0].message.content == "It is 3 °C."
    assert second.usage is not None
    assert second.usage.completion_tokens_details.reasoning_tokens == 16  # type: ignore[union-attr]
    check_conversation(upstream)


def test_a_failure_before_the_first_word_is_an_ordinary_error(
    site: Site, upstream: Upstream
) -> None:
    failed = {
        **response(),
        "status": "failed",
        "error": {"code": "rate_limit_exceeded", "message": "Slow down"},
    }
    upstream.script("failing", streams(CREATED, event("response.failed", response=failed)))
    with sdk_for(site) as client, pytest.raises(openai.RateLimitError, match="Slow down"):
        client.chat.completions.create(model="responses/failing", messages=[QUESTION], stream=True)


def test_a_stream_that_breaks_off_is_an_error_and_is_recorded(
    site: Site, upstream: Upstream
) -> None:
    model = f"broken-responses-{site.process.pid}"
    upstream.script(model, streams(*answers()[:-1], cuts))
    with sdk_for(site) as client, pytest.raises(openai.APIError):
        list(
            client.chat.completions.create(
                model=f"responses/{model}", messages=[QUESTION], stream=True
            )
        )
    [record] = site.wait_for_usage(model=f"responses/{model}")
    assert record["status"] == "upstream_error"


def test_usage_is_recorded_as_it_was_told(site: Site) -> None:
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="responses/gpt-5-pro", messages=[QUESTION]
        )
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    told = (
        record["prompt_tokens"],
        record["cached_tokens"],
        record["completion_tokens"],
        record["reasoning_tokens"],
    )
    assert told == (20, 8, 30, 16)
