"""What tests can script, and what they see of the calls. Called from Python, without a database."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from native_api import background, gateway, testing
from native_api.exceptions import NativeError, ProviderFault
from native_api.testing import ScriptedProvider
from native_api.types import Caller

ALICE = Caller(user_name="alice")


def ask(content: Any = "Hi", model: str = "fast", **fields: Any) -> Any:
    """The first choice of a complete reply."""
    reply = gateway.complete_sync(testing.chat(content, model=model, **fields), ALICE)
    return reply.completion["choices"][0]


def text(content: Any = "Hi", model: str = "fast", **fields: Any) -> str:
    return str(ask(content, model, **fields)["message"]["content"])


def stream(model: str = "fast", **fields: Any) -> list[Any]:
    """The deltas of a streamed reply."""

    async def read() -> list[Any]:
        chat: Any = testing.chat("Hi", model=model, stream=True, **fields)
        chunks = await gateway.stream(chat, ALICE)
        try:
            return [
                choice["delta"]
                async for batch in chunks
                for chunk in batch
                for choice in chunk["choices"]
            ]
        finally:
            await chunks.aclose()

    return background.run(read())


def contents(deltas: list[Any]) -> list[str]:
    return [delta["content"] for delta in deltas if delta.get("content")]


# --- replies -------------------------------------------------------------------------------------


def test_replies_are_given_in_their_order(native_llm: ScriptedProvider) -> None:
    native_llm.reply("First.")
    native_llm.reply("Second.")
    assert [text(), text()] == ["First.", "Second."]


def test_a_call_that_nothing_is_scripted_for_gets_the_default_reply(
    native_llm: ScriptedProvider,
) -> None:
    assert text() == testing.DEFAULT_REPLY
    assert contents(stream()) == ["(scripted ", "reply)"]


def test_json_is_sent_as_text(native_llm: ScriptedProvider) -> None:
    native_llm.reply(json={"city": "Paris"})
    assert json.loads(text()) == {"city": "Paris"}


def test_a_reply_may_call_tools(native_llm: ScriptedProvider) -> None:
    native_llm.reply(tool_calls=[testing.tool_call("weather", {"city": "Paris"})])
    choice = ask(tools=[{"type": "function", "function": {"name": "weather"}}])
    [call] = choice["message"]["tool_calls"]
    assert (call["function"]["name"], choice["finish_reason"]) == ("weather", "tool_calls")
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_a_streamed_reply_may_call_tools(native_llm: ScriptedProvider) -> None:
    calls = [testing.tool_call("weather", {}, id="1"), testing.tool_call("time", {}, id="2")]
    native_llm.reply("Let me look.", tool_calls=calls)
    deltas = stream(tools=[{"type": "function", "function": {"name": "weather"}}])
    assert "".join(contents(deltas)) == "Let me look."
    made = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert [(call["index"], call["function"]["name"]) for call in made if call.get("id")] == [
        (0, "weather"),
        (1, "time"),
    ]


def test_a_stream_comes_in_the_chunks_of_its_script(native_llm: ScriptedProvider) -> None:
    native_llm.reply(chunks=["Sho", "rt."])
    native_llm.reply(chunks=["Sho", "rt."])
    assert contents(stream()) == ["Sho", "rt."]
    assert text() == "Short."


def test_usage_and_finish_reason_are_recorded_with_their_cost(
    native_llm: ScriptedProvider, settings: Any
) -> None:
    priced = {"openai": {"API_KEY": "", "PRICE": {"INPUT": "1", "OUTPUT": "2"}}}
    settings.NATIVE_API = {"PROVIDERS": priced}
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    native_llm.reply("Cut", usage=usage, finish_reason="length")
    text(model="openai/gpt-4o-mini")
    [record] = native_llm.records
    assert (record.finish_reason, record.total_tokens) == ("length", 1500)
    assert record.cost == Decimal("0.002")


def test_further_members_of_the_message_arrive(native_llm: ScriptedProvider) -> None:
    native_llm.reply(None, refusal="I will not.")
    assert ask()["message"]["refusal"] == "I will not."


def test_a_reply_without_a_text_has_the_default_one(native_llm: ScriptedProvider) -> None:
    native_llm.reply(finish_reason="length")
    choice = ask()
    assert (choice["message"]["content"], choice["finish_reason"]) == (
        testing.DEFAULT_REPLY,
        "length",
    )


def test_a_whole_reply_may_be_given(native_llm: ScriptedProvider) -> None:
    native_llm.reply({**testing.completion("Whole."), "system_fingerprint": "fp_1"})
    reply = gateway.complete_sync(testing.chat(model="fast"), ALICE)
    assert reply.completion["system_fingerprint"] == "fp_1"
    assert reply.completion["model"] == "gpt-4o-mini"


def test_a_reply_may_be_for_one_model(native_llm: ScriptedProvider) -> None:
    native_llm.reply("For the route.", model="fast")
    native_llm.reply("For the model.", model="gpt-4o")
    native_llm.reply("For the target.", model="openai/gpt-5")
    assert text(model="openai/gpt-5") == "For the target."
    assert text(model="openai/gpt-4o") == "For the model."
    assert text() == "For the route."


def test_a_function_answers_what_nothing_else_is_scripted_for(
    native_llm: ScriptedProvider,
) -> None:
    @native_llm.respond
    def shout(call: testing.Call) -> str:
        return call.prompt.upper()

    native_llm.reply("Scripted.")
    assert [text("one"), text("two"), text("three")] == ["Scripted.", "TWO", "THREE"]


def test_the_function_may_be_async_and_return_any_answer(native_llm: ScriptedProvider) -> None:
    @native_llm.respond
    async def answer(call: testing.Call) -> testing.Failure | dict[str, Any]:
        if call.prompt == "fail":
            return testing.Failure(400, "Not this.")
        return testing.completion("Fine.")

    assert text() == "Fine."
    with pytest.raises(NativeError, match=r"Not this\."):
        text("fail")


def test_an_error_of_the_function_is_raised_when_the_test_ends() -> None:
    def test() -> None:
        with testing.scripted_provider() as llm:

            @llm.respond
            def check(call: testing.Call) -> str:
                raise AssertionError("not what was asked for")

            with pytest.raises(AssertionError, match="not what was asked for"):
                text()

    with pytest.raises(AssertionError, match="not what was asked for"):
        test()


# --- embeddings ----------------------------------------------------------------------------------


def embed(*inputs: str) -> list[Any]:
    request: Any = {"model": "embedder", "input": list(inputs)}
    reply = gateway.embed_sync(request, ALICE)
    return [item["embedding"] for item in reply.embeddings["data"]]


def test_the_same_text_has_the_same_vector(native_llm: ScriptedProvider) -> None:
    one, other, same = embed("one", "other", "one")
    assert one == same != other


def test_vectors_may_be_scripted_and_texts_are_left_to_chats(native_llm: ScriptedProvider) -> None:
    native_llm.reply("For a chat.")
    native_llm.embed([[0.5, 1.0]])
    assert embed("one") == [[0.5, 1.0]]
    assert text() == "For a chat."


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answered"),
    [(400, 400), (429, 429), (500, 502), (503, 502), ("timeout", 504), ("unreachable", 502)],
)
def test_a_failure_fails_the_call_with_its_retries(
    native_llm: ScriptedProvider, status: Any, answered: int
) -> None:
    native_llm.fail(status)
    with pytest.raises(ProviderFault) as caught:
        text()
    assert caught.value.status == answered
    [record] = native_llm.records
    assert record.status == "upstream_error"
    assert text() == testing.DEFAULT_REPLY


def test_a_failure_has_the_message_code_and_headers_of_its_script(
    native_llm: ScriptedProvider,
) -> None:
    native_llm.fail(429, "Slow down.", code="rate_limit_exceeded", headers={"retry-after": "7"})
    with pytest.raises(ProviderFault, match=r"Slow down\.") as caught:
        text()
    assert (caught.value.code, caught.value.retry_after) == ("rate_limit_exceeded", 7.0)


def test_a_failure_of_one_provider_is_answered_by_the_next_target(
    native_llm: ScriptedProvider,
) -> None:
    native_llm.fail(503, provider="openai")
    native_llm.reply("From the other.", provider="eu")
    assert text() == "From the other."
    [call] = native_llm.calls
    tried = [str(attempt) for attempt in call.attempts]
    assert tried == ["openai/gpt-4o-mini"] * 2 + ["eu/claude-haiku-4-5"]
    assert call.provider == "eu"


def test_no_number_of_failures_changes_what_the_next_call_meets(
    native_llm: ScriptedProvider,
) -> None:
    for _ in range(20):
        native_llm.fail(500)
        with pytest.raises(ProviderFault):
            text()
    assert text() == testing.DEFAULT_REPLY
    assert native_llm.calls[-1].provider == "openai"


@pytest.mark.parametrize("status", [500, "timeout"])
def test_a_stream_may_fail_in_its_middle(native_llm: ScriptedProvider, status: Any) -> None:
    native_llm.fail(status, after=["Half an ", "ans"])
    with pytest.raises(ProviderFault):
        stream()
    [record] = native_llm.records
    assert record.status == "upstream_error"
    assert record.completion_tokens > 0


# --- what tests see ------------------------------------------------------------------------------


def test_a_call_shows_who_asked_for_what_and_what_was_sent(native_llm: ScriptedProvider) -> None:
    text([{"type": "text", "text": "What is this?"}], temperature=0.5)
    [call] = native_llm.calls
    assert (call.model, call.provider, call.provider_model) == ("fast", "openai", "gpt-4o-mini")
    assert (call.caller, call.stream, call.endpoint) == (ALICE, False, "chat/completions")
    assert (call.prompt, len(call.messages)) == ("What is this?", 1)
    assert (call.body["temperature"], call.body["model"]) == (0.5, "gpt-4o-mini")
    assert call.headers["x-team"] == "blue"
    assert "authorization" not in call.headers


def test_calls_that_are_refused_reach_no_provider_and_leave_a_record(
    native_llm: ScriptedProvider,
) -> None:
    with pytest.raises(NativeError):
        text(model="nobody")
    assert native_llm.calls == []
    assert [record.status for record in native_llm.records] == ["refused"]


def test_concurrent_calls_are_kept_apart(native_llm: ScriptedProvider) -> None:
    native_llm.respond(lambda call: f"To {call.prompt}.")

    async def ask_all() -> list[Any]:
        chats: list[Any] = [testing.chat(str(number), model="fast") for number in range(20)]
        return await asyncio.gather(*(gateway.complete(chat, ALICE) for chat in chats))

    replies = background.run(ask_all())
    texts = [reply.completion["choices"][0]["message"]["content"] for reply in replies]
    assert texts == [f"To {number}." for number in range(20)]
    assert len(native_llm.calls) == len(native_llm.records) == 20


def test_two_calls_of_one_task_are_two_calls(native_llm: ScriptedProvider) -> None:
    async def ask_twice() -> None:
        for content in ("one", "two"):
            chat: Any = testing.chat(content, model="fast")
            await gateway.complete(chat, ALICE)

    background.run(ask_twice())
    assert [call.prompt for call in native_llm.calls] == ["one", "two"]
