"""Chat completions through every kind of server, with the official SDK as the client."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.front.conftest import sdk_for
from tests.scripted_provider import (
    DONE,
    HELLO,
    USAGE,
    ScriptBarrier,
    Upstream,
    completion,
    cuts,
    event,
    hello,
    says,
    stalls,
    streams,
)
from tests.servers import Site, until

HI: list[Any] = [{"role": "user", "content": "Hi"}]

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def text_of(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_a_complete_reply(sdk: openai.OpenAI) -> None:
    reply = sdk.chat.completions.create(model="hello", messages=HI)
    assert reply.choices[0].message.content == "Hello there"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (9, 3)


def test_a_streamed_reply(sdk: openai.OpenAI) -> None:
    assert (
        text_of(sdk.chat.completions.create(model="hello", messages=HI, stream=True))
        == "Hello there"
    )


def test_usage_comes_last_and_only_when_asked_for(sdk: openai.OpenAI) -> None:
    plain = list(sdk.chat.completions.create(model="hello", messages=HI, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)
    told = list(
        sdk.chat.completions.create(
            model="hello", messages=HI, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage is not None for chunk in told] == [False] * (len(told) - 1) + [True]
    assert len({(chunk.id, chunk.created) for chunk in told}) == 1


def test_the_provider_is_always_asked_for_usage_and_never_sees_the_callers_key(
    sdk: openai.OpenAI, upstream: Upstream
) -> None:
    list(sdk.chat.completions.create(model="up/asked", messages=HI, stream=True))
    received = upstream.requests_for("asked")[-1]
    assert received.body["stream_options"] == {"include_usage": True}
    assert received.headers["authorization"] == "Bearer sk-upstream-secret"
    assert sdk.api_key not in str(received.headers)


def test_the_builtin_echo_model_needs_no_network(sdk: openai.OpenAI) -> None:
    assert (
        sdk.chat.completions.create(model="echo/echo", messages=HI).choices[0].message.content
        == "Hi"
    )
    assert text_of(sdk.chat.completions.create(model="echo/echo", messages=HI, stream=True)) == "Hi"


def test_an_upstream_that_breaks_off_ends_in_an_error_event(site: Site, upstream: Upstream) -> None:
    upstream.script("broken", streams(event({"content": "half"}), cuts))
    body = {"model": "up/broken", "messages": HI, "stream": True}
    text = httpx.post(
        f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=60
    ).text
    assert '"type":"upstream_error"' in text
    assert "[DONE]" not in text
    [record] = site.wait_for_usage(model="up/broken")
    assert (record["status"], record["estimated"]) == ("upstream_error", 1)


def test_the_sdk_raises_where_a_stream_breaks_off(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("broken-for-sdk", streams(event({"content": "half"}), cuts))
    stream = sdk.chat.completions.create(model="up/broken-for-sdk", messages=HI, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "half"
    with pytest.raises(openai.APIError, match="broke off"):
        next(iter(stream))


def test_a_stalled_stream_is_cut_and_reported(site: Site, upstream: Upstream) -> None:
    upstream.script("stalled", streams(event({"content": "half"}), stalls))
    body = {"model": "stalled", "messages": HI, "stream": True}
    text = httpx.post(
        f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=60
    ).text
    assert '"type":"upstream_timeout"' in text
    assert "[DONE]" not in text


def test_a_first_token_that_never_comes_is_a_504(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("mute", streams(event({"role": "assistant", "content": ""}), stalls))
    with pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model="mute", messages=HI, stream=True)
    assert caught.value.status_code == 504


def test_connections_to_the_provider_are_used_again(sdk: openai.OpenAI, upstream: Upstream) -> None:
    before = upstream.connections
    for number in range(6):
        answer = sdk.chat.completions.create(model="hello", messages=HI, stream=number % 2 == 0)  # type: ignore[call-overload]
        assert number % 2 or text_of(answer) == "Hello there"
    assert upstream.connections - before <= 1


def test_another_target_is_tried_while_nothing_was_said(site: Site, upstream: Upstream) -> None:
    upstream.script("fails", says({"error": {"message": "overloaded"}}, 503))
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="second-chance", messages=HI
        )
    assert answer.parse().choices[0].message.content == "Hello there"
    assert answer.headers["x-native-attempts"] == "2"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_another_target_is_tried_after_a_failure_that_calls_itself_a_success(
    site: Site, upstream: Upstream, is_streamed: bool
) -> None:
    # https://github.com/earendil-works/pi/issues/8511
    choice = {"index": 0, "finish_reason": "stop", "native_finish_reason": "network_error"}
    empty: dict[str, Any] = {"role": "assistant", "content": ""}
    body = {**completion(""), "choices": [{**choice, "message": empty}]}
    end = f"data: {json.dumps({**completion(''), 'choices': [{**choice, 'delta': empty}]})}\n\n"
    answer = streams(event(empty), end.encode(), DONE) if is_streamed else says(body)
    upstream.script("fails", answer)
    with sdk_for(site) as client:
        reply = client.chat.completions.with_raw_response.create(  # type: ignore[call-overload]
            model="second-chance", messages=HI, stream=is_streamed
        )
        assert reply.headers["x-native-attempts"] == "2"
        parsed = reply.parse()
        text = text_of(parsed) if is_streamed else parsed.choices[0].message.content
    assert text == "Hello there"


def test_tools_complete_and_streamed(sdk: openai.OpenAI, upstream: Upstream) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
    }
    first = {"index": 0, **call, "function": {"name": "weather", "arguments": ""}}
    pieces = [
        event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        for piece in ('{"city":', ' "Oslo"}')
    ]
    streamed = streams(
        event({"role": "assistant", "tool_calls": [first]}), *pieces, event({}, "tool_calls"), DONE
    )

    async def script(exchange: Any) -> None:
        await (
            streamed
            if exchange.received.body.get("stream")
            else says(completion(None, tool_calls=[call]))
        )(exchange)

    upstream.script("tools", script)
    reply = sdk.chat.completions.create(model="up/tools", messages=HI, tools=[TOOL])  # type: ignore[list-item]
    assert reply.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'  # type: ignore[index,union-attr]
    with sdk.chat.completions.stream(model="up/tools", messages=HI, tools=[TOOL]) as stream:  # type: ignore[list-item]
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'  # type: ignore[index,union-attr]
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
def test_requests_do_not_wait_for_each_other(site: Site, upstream: Upstream, stream: bool) -> None:
    """The provider answers none of eight before all are there."""
    meeting = ScriptBarrier(8)

    async def script(exchange: Any) -> None:
        await meeting(exchange)
        await hello(exchange)

    upstream.script("together", script)
    with sdk_for(site) as client, ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(
                client.chat.completions.create, model="up/together", messages=HI, stream=stream
            )
            for _ in range(8)
        ]
        answers = [each.result() for each in asked]
        assert [
            text_of(answer) if stream else answer.choices[0].message.content for answer in answers
        ] == ["Hello there"] * 8


def test_the_asynchronous_sdk(site: Site) -> None:
    async def both() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(
            base_url=f"{site.url}/v1", api_key=site.key, max_retries=0
        ) as client:
            whole = await client.chat.completions.create(model="hello", messages=HI)
            stream = await client.chat.completions.create(model="hello", messages=HI, stream=True)
            return whole.choices[0].message.content, "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream]
            )

    assert asyncio.run(both()) == ("Hello there", "Hello there")


def test_the_sdk_gets_through_a_providers_429_by_retrying(site: Site, upstream: Upstream) -> None:
    answers = iter(
        [
            says({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}),
            says(completion("at last")),
        ]
    )

    async def script(exchange: Any) -> None:
        await next(answers)(exchange)

    upstream.script(f"busy-{site.process.pid}", script)
    with sdk_for(site, max_retries=2) as client:
        reply = client.chat.completions.create(model=f"up/busy-{site.process.pid}", messages=HI)
    assert reply.choices[0].message.content == "at last"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "complete"])
def test_usage_that_a_provider_does_not_tell_is_estimated_and_marked(
    site: Site, upstream: Upstream, stream: bool
) -> None:
    untold = {name: value for name, value in completion("Hello there").items() if name != "usage"}
    events = [each for each in HELLO if each != USAGE]

    async def script(exchange: Any) -> None:
        await (streams(*events) if stream else says(untold))(exchange)

    upstream.script("untold", script)
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="up/untold", messages=HI, stream=stream
        )
        if stream:
            assert text_of(answer.parse()) == "Hello there"
        else:
            assert answer.parse().usage.completion_tokens == 3
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert (
        record["status"],
        record["estimated"],
        record["completion_tokens"],
        record["stream"],
    ) == ("ok", 1, 3, stream)
    assert record["prompt_tokens"] > 0
    assert record["total_tokens"] == record["prompt_tokens"] + 3


def test_every_request_is_one_structured_line_of_the_log(site: Site) -> None:
    with sdk_for(site) as client:
        client.chat.completions.create(
            model="hello", messages=HI, extra_headers={"x-request-id": "look-for-me"}
        )
    [line] = until(
        lambda: [line for line in site.log_lines() if line.get("request_id") == "look-for-me"],
        "the line",
    )
    assert (line["logger"], line["level"], line["status"]) == ("native_api.request", "info", 200)
    assert (line["model"], line["provider"]) == ("hello", "up")
    assert line["milliseconds"] > 0


def test_every_call_leaves_one_record(site: Site) -> None:
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="hello", messages=HI, metadata={"team": "a"}
        )
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert (record["status"], record["user_name"], record["api_key_name"]) == (
        "ok",
        "alice",
        "tests",
    )
    assert (record["provider"], record["provider_model"], record["finish_reason"]) == (
        "up",
        "hello",
        "stop",
    )
    assert (record["prompt_tokens"], record["cached_tokens"], record["completion_tokens"]) == (
        9,
        4,
        3,
    )
    assert (record["attempts"], record["estimated"], record["cost"], record["stream"]) == (
        1,
        0,
        None,
        0,
    )
    assert record["metadata"] == '{"team": "a"}'
