"""Chat completions through every kind of server, with the official SDK as the client."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.front.conftest import sdk_for
from tests.servers import Site, until
from tests.upstream import DONE, Upstream, completion, cuts, event, pauses, says, stalls, streams

HI: list[Any] = [{"role": "user", "content": "Hi"}]

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
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
    assert text_of(sdk.chat.completions.create(model="hello", messages=HI, stream=True)) == "Hello there"


def test_usage_comes_last_and_only_when_asked_for(sdk: openai.OpenAI) -> None:
    plain = list(sdk.chat.completions.create(model="hello", messages=HI, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)
    told = list(sdk.chat.completions.create(model="hello", messages=HI, stream=True, stream_options={"include_usage": True}))
    assert [chunk.usage is not None for chunk in told] == [False] * (len(told) - 1) + [True]
    assert len({(chunk.id, chunk.created) for chunk in told}) == 1


def test_the_provider_is_always_asked_for_usage_and_never_sees_the_callers_key(sdk: openai.OpenAI, upstream: Upstream) -> None:
    list(sdk.chat.completions.create(model="up/asked", messages=HI, stream=True))
    received = upstream.seen("asked")[-1]
    assert received.body["stream_options"] == {"include_usage": True}
    assert received.headers["authorization"] == "Bearer sk-upstream-secret"
    assert sdk.api_key not in str(received.headers)


def test_the_builtin_echo_model_needs_no_network(sdk: openai.OpenAI) -> None:
    assert sdk.chat.completions.create(model="echo/echo", messages=HI).choices[0].message.content == "Hi"
    assert text_of(sdk.chat.completions.create(model="echo/echo", messages=HI, stream=True)) == "Hi"


def test_each_chunk_leaves_when_it_came(sdk: openai.OpenAI, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("gated", streams(event({"content": "first"}), gate, event({"content": "second"}), event({}, "stop"), DONE))
    stream = sdk.chat.completions.create(model="up/gated", messages=HI, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "first"
    gate.open()
    assert text_of(stream) == "second"


def test_a_silent_upstream_is_bridged_by_keep_alive_comments(site: Site, upstream: Upstream) -> None:
    upstream.script("silent", streams(event({"content": "a"}), pauses(0.8), event({"content": "b"}), event({}, "stop"), DONE))
    body = {"model": "up/silent", "messages": HI, "stream": True}
    with httpx.stream("POST", f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=10) as response:
        lines = list(response.iter_lines())
    assert lines.count(": keep-alive") >= 2
    assert lines[-2] == "data: [DONE]"


def test_a_client_that_leaves_closes_the_upstream_and_is_recorded(site: Site, upstream: Upstream) -> None:
    model = f"left-{site.process.pid}"
    upstream.script(model, streams(event({"content": "some words"}), stalls))
    body = {"model": f"up/{model}", "messages": HI, "stream": True}
    before = upstream.open_connections
    with httpx.stream("POST", f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=10) as response:
        next(response.iter_lines())
    until(lambda: upstream.open_connections <= before, "the upstream connection to be closed")
    [record] = site.wait_for_usage(model=f"up/{model}")
    assert record["status"] in ("client_closed", "upstream_error")
    assert record["estimated"] == 1
    assert record["completion_tokens"] > 0


def test_an_upstream_that_breaks_off_ends_in_an_error_event(site: Site, upstream: Upstream) -> None:
    upstream.script("broken", streams(event({"content": "half"}), cuts))
    body = {"model": "up/broken", "messages": HI, "stream": True}
    text = httpx.post(f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=10).text
    assert '"type":"upstream_error"' in text
    assert "[DONE]" not in text
    [record] = site.wait_for_usage(model="up/broken")
    assert (record["status"], record["estimated"]) == ("upstream_error", 1)


def test_a_stalled_stream_is_cut_and_reported(site: Site, upstream: Upstream) -> None:
    upstream.script("stalled", streams(event({"content": "half"}), stalls))
    body = {"model": "up/stalled", "messages": HI, "stream": True}
    text = httpx.post(f"{site.url}/v1/chat/completions", headers=site.headers, json=body, timeout=10).text
    assert '"type":"upstream_timeout"' in text
    assert "[DONE]" not in text


def test_a_first_token_that_never_comes_is_a_504(sdk: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("mute", streams(event({"role": "assistant", "content": ""}), stalls))
    with pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model="up/mute", messages=HI, stream=True)
    assert caught.value.status_code == 504


def test_another_target_is_tried_while_nothing_was_said(site: Site, upstream: Upstream) -> None:
    upstream.script("fails", says({"error": {"message": "overloaded"}}, 503))
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(model="second-chance", messages=HI)
    assert answer.parse().choices[0].message.content == "Hello there"
    assert answer.headers["x-native-attempts"] == "2"


def test_tools_complete_and_streamed(sdk: openai.OpenAI, upstream: Upstream) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    first = {"index": 0, **call, "function": {"name": "weather", "arguments": ""}}
    pieces = [event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in ('{"city":', ' "Oslo"}')]
    streamed = streams(event({"role": "assistant", "tool_calls": [first]}), *pieces, event({}, "tool_calls"), DONE)

    async def script(exchange: Any) -> None:
        await (streamed if exchange.received.body.get("stream") else says(completion(None, tool_calls=[call])))(exchange)

    upstream.script("tools", script)
    reply = sdk.chat.completions.create(model="up/tools", messages=HI, tools=[TOOL])  # type: ignore[list-item]
    assert reply.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'  # type: ignore[index,union-attr]
    with sdk.chat.completions.stream(model="up/tools", messages=HI, tools=[TOOL]) as stream:  # type: ignore[list-item]
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'  # type: ignore[index,union-attr]
    assert final.choices[0].finish_reason == "tool_calls"


def test_requests_do_not_wait_for_each_other(site: Site, upstream: Upstream) -> None:
    upstream.script("slow", streams(pauses(0.5), event({"content": "x"}), pauses(0.5), event({}, "stop"), DONE))
    with sdk_for(site) as client, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        calls = [pool.submit(lambda: text_of(client.chat.completions.create(model="up/slow", messages=HI, stream=True))) for _ in range(8)]
        assert [call.result() for call in calls] == ["x"] * 8
    assert time.monotonic() - started < 4


def test_the_asynchronous_sdk(site: Site) -> None:
    async def both() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=f"{site.url}/v1", api_key=site.key, max_retries=0) as client:
            whole = await client.chat.completions.create(model="hello", messages=HI)
            stream = await client.chat.completions.create(model="hello", messages=HI, stream=True)
            return whole.choices[0].message.content, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(both()) == ("Hello there", "Hello there")


def test_the_sdk_gets_through_a_providers_429_by_retrying(site: Site, upstream: Upstream) -> None:
    answers = iter([says({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}), says(completion("at last"))])

    async def script(exchange: Any) -> None:
        await next(answers)(exchange)

    upstream.script(f"busy-{site.process.pid}", script)
    with sdk_for(site, max_retries=2) as client:
        reply = client.chat.completions.create(model=f"up/busy-{site.process.pid}", messages=HI)
    assert reply.choices[0].message.content == "at last"


def test_every_call_leaves_one_record(site: Site) -> None:
    with sdk_for(site) as client:
        answer = client.chat.completions.with_raw_response.create(model="hello", messages=HI, metadata={"team": "a"})
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert (record["status"], record["user_name"], record["api_key_name"]) == ("ok", "alice", "tests")
    assert (record["provider"], record["provider_model"], record["finish_reason"]) == ("up", "hello", "stop")
    assert (record["prompt_tokens"], record["cached_tokens"], record["completion_tokens"]) == (9, 4, 3)
    assert (record["attempts"], record["estimated"], record["cost"], record["stream"]) == (1, 0, None, 0)
    assert record["metadata"] == '{"team": "a"}'
