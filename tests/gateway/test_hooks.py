"""Hooks of a site around calls from Python code, to the `echo` provider and scripted ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from native_api import background, gateway
from native_api.conf import setting_errors
from native_api.exceptions import (
    InvalidRequest,
    ModelNotAllowed,
    NativeError,
    RateLimited,
    SettingError,
    UpstreamError,
)
from native_api.gateway.hook_chain import NO_HOOKS, current_chain
from native_api.gateway.hooks import bounded_metadata
from native_api.hooks import Call, CallHooks
from native_api.types import Caller
from native_api.usage.entry import UsageEntry
from tests.gateway import site_hooks
from tests.scripted_provider import (
    DONE,
    Upstream,
    completion,
    cuts,
    event,
    running_upstream,
    says,
    streams,
)
from tests.servers import until

SECRET = "a-value-that-nobody-may-see"
A_TASK = Caller(user_name="a task")
SEEN: list[Any] = []
"""What hooks of a test have seen, in order."""

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


def site(*hooks: Any, **settings: Any) -> Any:
    return override_settings(
        NATIVE_API={"PROVIDERS": {"echo": {}}, "HOOKS": list(hooks), **settings}
    )


def scripted(provider: Upstream, *hooks: Any, **settings: Any) -> Any:
    up = {
        "DIALECT": "openai",
        "BASE_URL": provider.url,
        "API_KEY": "k",
        "PRICE": {"INPUT": "1", "OUTPUT": "1"},
    }
    return site(*hooks, PROVIDERS={"up": up}, ATTEMPTS={"RETRIES": 0}, **settings)


def chat(text: str = "Hi there", model: str = "echo/any", **fields: Any) -> Any:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def complete(request: Any, caller: Caller = A_TASK) -> Any:
    return gateway.complete_sync(request, caller, "the-request").completion


def read(request: Any, caller: Caller = A_TASK) -> list[Any]:
    """The chunks of a stream, as they are read to its end."""

    async def run() -> list[Any]:
        stream = await gateway.stream(request, caller)
        try:
            return [chunk async for batch in stream for chunk in batch]
        finally:
            await stream.aclose()

    return background.run(run())


def text_of(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


def hook(**methods: Any) -> type[CallHooks]:
    """A class of hooks with these methods."""
    return type("Hook", (CallHooks,), methods)


# --- before the call -----------------------------------------------------------------------------


def test_a_hook_sees_the_call(records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        SEEN.append(call)

    with site(hook(before_call=before_call)):
        complete(chat(metadata={"a": "b"}))
    [call] = SEEN
    assert (call.request_id, call.operation, call.endpoint) == (
        "the-request",
        "chat",
        "chat/completions",
    )
    assert (call.caller.user_name, call.stream, call.wire) == ("a task", False, "")
    assert call.body == chat(metadata={"a": "b"}, stream=False)
    assert (call.metadata, call.state) == ({}, {})
    assert "Hi there" not in repr(call)


def test_what_a_hook_writes_is_sent_and_nothing_of_the_callers_is_changed(
    records: list[UsageEntry],
) -> None:
    request = chat("be quiet")
    with site(site_hooks.Shouting):
        assert text_of(complete(request)) == "BE LOUD"
    assert request == chat("be quiet")


def test_a_hook_may_replace_the_body(records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.body = chat("Another one")

    with site(hook(before_call=before_call)):
        assert text_of(complete(chat())) == "Another one"


def choosing(model: str) -> type[CallHooks]:
    async def before_call(self: Any, call: Call) -> None:
        call.body["model"] = model

    return hook(before_call=before_call)


def test_another_model_is_routed_priced_and_recorded(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    provider.script("chosen", says({**completion("Hello"), "usage": usage}))
    with scripted(provider, choosing("up/chosen")):
        complete(chat(model="up/asked"))
    [record] = records
    assert (record.model, record.provider_model, record.status) == ("up/chosen", "chosen", "ok")
    assert record.cost == Decimal("0.002")


def test_another_model_is_checked_for_access(records: list[UsageEntry]) -> None:
    with site(choosing("echo/secret")), pytest.raises(ModelNotAllowed):
        complete(chat(), Caller(allowed_models=("echo/any",)))
    assert [(record.model, record.status) for record in records] == [("echo/secret", "refused")]


def test_limits_hold_for_what_a_hook_writes(records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.body["messages"][0]["content"] = "x" * 4000

    limit = {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 50, "WINDOW": "minute"}
    with site(hook(before_call=before_call), LIMITS=[limit]), pytest.raises(RateLimited):
        complete(chat(max_tokens=1))


def test_a_hook_refuses_a_call_with_an_error_of_ours(records: list[UsageEntry]) -> None:
    with site(site_hooks.Guarding), pytest.raises(InvalidRequest) as raised:
        complete(chat("a forbidden word"))
    assert (raised.value.status, raised.value.code) == (400, "forbidden_word")
    assert raised.value.headers["x-native-attempts"] == "0"
    [record] = records
    assert (record.status, record.error_code) == ("refused", "forbidden_word")
    assert record.metadata == {"team": "search", "failed": "True"}


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_hook_does_not_decide_whether_a_reply_is_streamed(
    is_stream: bool, records: list[UsageEntry]
) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.body = chat("Hello", stream=not is_stream)

    with site(hook(before_call=before_call)):
        reply = words_of(read(chat())) if is_stream else text_of(complete(chat()))
    assert (reply, records[0].stream) == ("Hello", is_stream)


def test_a_body_that_is_none_is_a_failure_of_the_hook(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.body = None  # type: ignore[assignment]

    with site(hook(before_call=before_call)), pytest.raises(NativeError) as raised:
        complete(chat())
    assert (raised.value.status, raised.value.code) == (500, "internal_error")
    assert "call.body is NoneType, not a dictionary" in caplog.text


def test_a_value_that_before_call_returns_is_a_failure_of_the_hook(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def before_call(self: Any, call: Call) -> Any:
        return {**call.body, "model": "echo/another"}

    with site(hook(before_call=before_call)), pytest.raises(NativeError) as raised:
        complete(chat())
    assert (raised.value.status, raised.value.code) == (500, "internal_error")
    assert "returned dict; change call.body in place" in caplog.text
    assert [record.error_code for record in records] == ["internal_error"]


# --- failures of hooks ---------------------------------------------------------------------------


def test_any_other_exception_is_logged_with_the_hooks_name_and_shown_to_nobody(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    with site(site_hooks.Guarding), pytest.raises(NativeError) as raised:
        complete(chat("crash"))
    assert (raised.value.status, raised.value.code) == (500, "internal_error")
    assert SECRET not in raised.value.message
    [line] = [record for record in caplog.records if record.name == "native_api.hooks"]
    assert line.getMessage() == "The hook tests.gateway.site_hooks.Guarding.before_call failed."
    assert line.exc_info is not None
    assert [(record.status, record.error_code) for record in records] == [
        ("error", "internal_error")
    ]


def test_on_error_gets_what_is_answered_for_a_failure_of_a_hook(records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        raise RuntimeError(SECRET)

    async def on_error(self: Any, call: Call, error: Exception) -> None:
        SEEN.append((type(error), getattr(error, "code", ""), SECRET in str(error)))

    with site(hook(before_call=before_call, on_error=on_error)), pytest.raises(NativeError):
        complete(chat())
    [seen] = SEEN
    assert seen == (NativeError, "internal_error", False)


@pytest.mark.parametrize("method", ["after_call", "on_chunk"])
def test_a_reply_must_be_a_dictionary(
    method: str, records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def run(self: Any, call: Call, value: Any) -> Any:
        return "text"

    with site(hook(**{method: run})), pytest.raises(NativeError) as raised:
        read(chat(stream=True)) if method == "on_chunk" else complete(chat())
    assert raised.value.code == "internal_error"
    assert f"Hook.{method} failed" in caplog.text
    [record] = records
    assert record.status == "error"
    assert record.prompt_tokens > 0


# --- after the call ------------------------------------------------------------------------------


def test_a_hook_may_return_another_reply(records: list[UsageEntry]) -> None:
    async def after_call(self: Any, call: Call, reply: Any) -> Any:
        return {**reply, "choices": [], "note": call.state["note"]}

    async def before_call(self: Any, call: Call) -> None:
        call.state["note"] = "kept"

    with site(hook(before_call=before_call, after_call=after_call)):
        reply = complete(chat())
    assert (reply["choices"], reply["note"]) == ([], "kept")
    assert records[0].metadata == {}


def test_a_hook_cannot_make_a_call_free(provider: Upstream, records: list[UsageEntry]) -> None:
    async def after_call(self: Any, call: Call, reply: Any) -> Any:
        reply["usage"]["prompt_tokens"] = reply["usage"]["completion_tokens"] = 0
        reply["usage"]["total_tokens"] = 0
        reply["choices"].clear()

    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    provider.script("free", says({**completion("Hello"), "usage": usage}))
    with scripted(provider, hook(after_call=after_call)):
        reply = complete(chat(model="up/free"))
    assert reply["usage"]["total_tokens"] == 0
    [record] = records
    assert (record.total_tokens, record.cost) == (2000, Decimal("0.002"))
    assert record.finish_reason == "stop"


def test_a_reply_that_a_hook_refuses_is_recorded_with_its_cost(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    async def after_call(self: Any, call: Call, reply: Any) -> None:
        raise InvalidRequest("Not this answer.", code="unsuitable_answer")

    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    provider.script("refused", says({**completion("Hello"), "usage": usage}))
    limit = {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 2500, "WINDOW": "hour"}
    with scripted(provider, hook(after_call=after_call), LIMITS=[limit]):
        with pytest.raises(InvalidRequest):
            complete(chat(model="up/refused", max_tokens=1200))
        with pytest.raises(RateLimited):
            complete(chat(model="up/refused", max_tokens=1200))
    first, _ = records
    assert (first.status, first.error_code) == ("refused", "unsuitable_answer")
    assert (first.total_tokens, first.cost) == (2000, Decimal("0.002"))


def test_embeddings_have_hooks_too(records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        SEEN.append((call.operation, call.endpoint))
        call.body["input"] = "another text"
        call.metadata["team"] = "search"

    async def after_call(self: Any, call: Call, reply: Any) -> Any:
        return {**reply, "note": "seen"}

    request: Any = {"model": "echo/any", "input": "a text"}
    expected: Any = {"model": "echo/any", "input": "another text"}
    with site():
        plain = gateway.embed_sync(expected, Caller()).embeddings
    with site(hook(before_call=before_call, after_call=after_call)):
        reply: Any = gateway.embed_sync(request, Caller()).embeddings
    assert reply == {**plain, "note": "seen"}
    assert SEEN == [("embeddings", "embeddings")]
    assert records[-1].metadata == {"team": "search"}


# --- streams -------------------------------------------------------------------------------------


def words_of(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_each_chunk_of_a_stream_may_be_changed(records: list[UsageEntry]) -> None:
    with site(site_hooks.Shouting):
        chunks = read(chat("be quiet", stream=True))
    assert words_of(chunks) == "BE LOUD"
    assert [record.status for record in records] == ["ok"]


def test_a_hook_may_send_other_chunks_and_leave_them_as_they_are(
    records: list[UsageEntry],
) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> Any:
        return {**chunk, "model": "hidden"} if chunk["choices"] else None

    options = {"include_usage": True}
    with site():
        plain = read(chat(stream=True, stream_options=options))
    with site(hook(on_chunk=on_chunk)):
        chunks = read(chat(stream=True, stream_options=options))
    assert [chunk["model"] for chunk in chunks] == ["hidden"] * (len(plain) - 1) + ["echo"]
    assert words_of(chunks) == words_of(plain)


def test_hooks_see_the_chunk_with_the_usage(records: list[UsageEntry]) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        if chunk.get("usage"):
            SEEN.append(dict(chunk["usage"]))
            chunk["usage"]["total_tokens"] = 0

    with site(hook(on_chunk=on_chunk)):
        *_, last = read(chat(stream=True, stream_options={"include_usage": True}))
    assert last["usage"]["total_tokens"] == 0
    assert [record.total_tokens for record in records] == [usage["total_tokens"] for usage in SEEN]
    assert records[0].total_tokens > 0


def test_there_is_no_chunk_with_usage_if_the_client_does_not_ask_for_it(
    records: list[UsageEntry],
) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        SEEN.append(chunk.get("usage"))

    with site(hook(on_chunk=on_chunk)):
        read(chat(stream=True))
    assert SEEN == [None] * len(SEEN) != []
    assert records[0].total_tokens > 0


def test_a_hook_cannot_make_a_stream_free(provider: Upstream, records: list[UsageEntry]) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        for choice in chunk["choices"]:
            choice["delta"].clear()

    script = streams(
        *(event({"content": "word " * 100}) for _ in range(4)), event({}, "stop"), DONE
    )
    provider.script("unmeasured", script)
    with scripted(provider, hook(on_chunk=on_chunk)):
        assert words_of(read(chat(model="up/unmeasured", stream=True))) == ""
    [record] = records
    assert record.completion_tokens >= 400


def test_a_hook_that_refuses_a_chunk_ends_the_stream(records: list[UsageEntry]) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        call.state["count"] = call.state.get("count", 0) + 1
        if call.state["count"] > 2:
            raise InvalidRequest("Enough.", code="enough")

    async def on_error(self: Any, call: Call, error: Exception) -> None:
        call.metadata["count"] = call.state["count"]

    with (
        site(hook(on_chunk=on_chunk, on_error=on_error)),
        pytest.raises(InvalidRequest) as raised,
    ):
        read(chat("one two three four", stream=True))
    assert raised.value.code == "enough"
    [record] = records
    assert (record.status, record.error_code, record.metadata) == (
        "refused",
        "enough",
        {"count": "3"},
    )
    assert record.completion_tokens > 0


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_what_hooks_let_through_before_a_refusal_is_sent_however_it_arrives(
    size: int, provider: Upstream, records: list[UsageEntry]
) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        if "secret" in words_of([chunk]):
            raise InvalidRequest("Enough.", code="enough")

    async def run() -> None:
        stream = await gateway.stream(chat(model="up/batches", stream=True), A_TASK)
        try:
            async for batch in stream:
                SEEN.extend(batch)
        finally:
            await stream.aclose()

    events = [event({"content": f"{word} "}) for word in ("one", "two", "three", "secret", "four")]
    pieces = [b"".join(events[start : start + size]) for start in range(0, len(events), size)]
    provider.script("batches", streams(*pieces, event({}, "stop"), DONE))
    with scripted(provider, hook(on_chunk=on_chunk)), pytest.raises(InvalidRequest):
        background.run(run())
    assert words_of(SEEN) == "one two three "
    assert [(record.status, record.error_code) for record in records] == [("refused", "enough")]


def test_on_error_sees_a_stream_that_breaks_off(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    async def on_error(self: Any, call: Call, error: Exception) -> Any:
        SEEN.append(type(error).__name__)
        call.metadata["seen"] = "yes"
        return InvalidRequest("Try again.", code="again")

    async def run() -> None:
        stream = await gateway.stream(chat(model="up/cut", stream=True), A_TASK)
        assert SEEN == []
        gate.open()
        try:
            SEEN.extend([words_of(batch) async for batch in stream])
        finally:
            await stream.aclose()

    gate = provider.gate()
    provider.script("cut", streams(event({"content": "Hel"}), gate, cuts))
    with scripted(provider, hook(on_error=on_error)), pytest.raises(InvalidRequest):
        background.run(run())
    assert SEEN == ["UpstreamError"]
    [record] = records
    assert (record.status, record.metadata) == ("upstream_error", {"seen": "yes"})


def test_on_error_sees_a_stream_that_does_not_begin(records: list[UsageEntry]) -> None:
    with site(site_hooks.Guarding), pytest.raises(InvalidRequest) as raised:
        read(chat("a forbidden teapot", stream=True))
    assert raised.value.code == "teapot"
    [record] = records
    assert (record.status, record.error_code) == ("refused", "forbidden_word")


def test_metadata_that_is_added_while_a_stream_is_read_is_recorded(
    records: list[UsageEntry],
) -> None:
    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        call.metadata["chunks"] = call.state["chunks"] = call.state.get("chunks", 0) + 1

    async def run() -> None:
        stream = await gateway.stream(chat("one two three", stream=True), A_TASK)
        async for _ in stream:
            break
        await stream.aclose()

    with site(hook(on_chunk=on_chunk), noting("outer")):
        background.run(run())
    [record] = records
    assert (record.status, "outer error" in SEEN) == ("client_closed", False)
    assert record.metadata == {"chunks": str(SEEN.count("outer chunk"))}


# --- errors --------------------------------------------------------------------------------------


def failing(provider: Upstream, *hooks: Any) -> Any:
    """A site whose provider refuses the request, which says nothing about its health."""
    provider.script("failing", says({"error": {"message": "no"}}, status=400))
    return scripted(provider, *hooks)


def test_on_error_sees_the_error_and_may_replace_it(
    provider: Upstream, records: list[UsageEntry]
) -> None:
    async def on_error(self: Any, call: Call, error: Exception) -> Any:
        SEEN.append(type(error).__name__)
        call.metadata["seen"] = "yes"
        return InvalidRequest("Try again tomorrow.", code="tomorrow")

    with failing(provider, hook(on_error=on_error)), pytest.raises(InvalidRequest) as raised:
        complete(chat(model="up/failing"))
    assert raised.value.code == "tomorrow"
    assert raised.value.headers["x-native-provider"] == "up"
    assert SEEN == ["UpstreamError"]
    [record] = records
    assert (record.status, record.error_code) == ("upstream_error", "invalid_request")
    assert record.metadata == {"seen": "yes"}


@pytest.mark.parametrize("answer", ["none", "a word", "a bug", "raises it"])
def test_an_error_stays_if_on_error_does_not_replace_it(
    answer: str, provider: Upstream, records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def on_error(self: Any, call: Call, error: Exception) -> Any:
        if answer == "a bug":
            raise RuntimeError(SECRET)
        if answer == "raises it":
            raise error
        return None if answer == "none" else answer

    with failing(provider, hook(on_error=on_error)), pytest.raises(UpstreamError):
        complete(chat(model="up/failing"))
    assert [record.status for record in records] == ["upstream_error"]
    assert ("Hook.on_error failed" in caplog.text) is (answer in ("a word", "a bug"))


def test_on_error_sees_failures_of_the_gateway_itself(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.body["messages"] = 3

    async def on_error(self: Any, call: Call, error: Exception) -> Any:
        SEEN.append(isinstance(error, NativeError))
        return InvalidRequest("No messages.")

    with (
        site(hook(before_call=before_call, on_error=on_error)),
        pytest.raises(InvalidRequest),
    ):
        complete(chat())
    assert SEEN == [False]
    assert [record.error_code for record in records] == ["internal_error"]
    assert "A call failed inside the gateway." in caplog.text


# --- several hooks -------------------------------------------------------------------------------


def noting(name: str) -> type[CallHooks]:
    async def before_call(self: Any, call: Call) -> None:
        SEEN.append(f"{name} before")

    async def after_call(self: Any, call: Call, reply: Any) -> None:
        SEEN.append(f"{name} after")

    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        SEEN.append(f"{name} chunk")

    async def on_error(self: Any, call: Call, error: Exception) -> None:
        SEEN.append(f"{name} error")

    return hook(
        before_call=before_call, after_call=after_call, on_chunk=on_chunk, on_error=on_error
    )


def test_hooks_run_in_order_and_back(records: list[UsageEntry]) -> None:
    with site(noting("outer"), noting("inner")):
        complete(chat())
        assert SEEN == ["outer before", "inner before", "inner after", "outer after"]
        SEEN.clear()
        with pytest.raises(NativeError):
            complete(chat(model="nowhere"))
    assert SEEN == ["outer before", "inner before", "inner error", "outer error"]


def test_an_error_reaches_all_hooks_also_those_that_did_not_see_the_call(
    records: list[UsageEntry],
) -> None:
    with site(site_hooks.Guarding, noting("inner")), pytest.raises(InvalidRequest):
        complete(chat("forbidden"))
    assert SEEN == ["inner error"]


def test_each_hook_gets_what_the_one_before_it_made(records: list[UsageEntry]) -> None:
    def adding(letter: str) -> type[CallHooks]:
        async def before_call(self: Any, call: Call) -> None:
            call.body["messages"][0]["content"] += letter

        async def after_call(self: Any, call: Call, reply: Any) -> Any:
            return {**reply, "letters": reply.get("letters", "") + letter}

        return hook(before_call=before_call, after_call=after_call)

    with site(adding("a"), adding("b")):
        reply = complete(chat("x"))
    assert (text_of(reply), reply["letters"]) == ("xab", "ba")


def test_a_process_has_one_instance_of_each(records: list[UsageEntry]) -> None:
    class Counting(CallHooks):
        async def before_call(self, call: Call) -> None:
            SEEN.append(self)

    with site(Counting):
        complete(chat())
        complete(chat())
    assert SEEN[0] is SEEN[1]


def test_the_check_of_the_setting_makes_the_instance_that_calls_use(
    records: list[UsageEntry],
) -> None:
    class Counting(CallHooks):
        def __init__(self) -> None:
            SEEN.append("made")

        async def before_call(self, call: Call) -> None:
            SEEN.append("called")

    with site(Counting):
        assert list(setting_errors()) == list(setting_errors()) == []
        complete(chat())
    assert SEEN == ["made", "called"]


def test_a_method_may_be_static(records: list[UsageEntry]) -> None:
    async def before_call(call: Call) -> None:
        SEEN.append(call.request_id)

    with site(hook(before_call=staticmethod(before_call))):
        complete(chat())
    assert SEEN == ["the-request"]


def test_only_methods_that_a_class_has_are_called() -> None:
    assert current_chain() is NO_HOOKS
    with site("tests.gateway.site_hooks.Shouting", site_hooks.Guarding):
        chain = current_chain()
    assert {name: len(hooks) for name, hooks in chain._asdict().items()} == {
        "before_call": 2,
        "after_call": 1,
        "on_chunk": 1,
        "on_error": 1,
    }


# --- clients that leave --------------------------------------------------------------------------


def test_no_hook_runs_for_a_caller_that_left(provider: Upstream, records: list[UsageEntry]) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.metadata["team"] = "search"

    async def run() -> None:
        provider.script("slow", gate)
        call = asyncio.create_task(gateway.complete(chat(model="up/slow"), Caller()))
        await asyncio.to_thread(until, lambda: provider.is_answering("slow"), "the call")
        call.cancel()
        await asyncio.wait([call])

    gate = provider.gate()
    with scripted(provider, hook(before_call=before_call), noting("inner")):
        asyncio.run(run())
    gate.open()
    assert SEEN == ["inner before"]
    [record] = records
    assert (record.status, record.metadata) == ("client_closed", {"team": "search"})


def test_a_caller_that_leaves_while_on_error_runs_does_not_pay_for_a_failed_call(
    records: list[UsageEntry],
) -> None:
    async def on_error(self: Any, call: Call, error: Exception) -> None:
        call.metadata["seen"] = "yes"
        reached.set()
        await asyncio.Event().wait()

    async def run() -> None:
        call = asyncio.create_task(gateway.complete(chat(model="nowhere"), A_TASK))
        await reached.wait()
        call.cancel()
        await asyncio.wait([call])

    reached = asyncio.Event()
    with site(hook(on_error=on_error)):
        asyncio.run(run())
    [record] = records
    assert (record.status, record.error_code) == ("refused", "model_not_found")
    assert (record.metadata, record.total_tokens) == ({"seen": "yes"}, 0)


def test_a_task_of_a_hook_that_is_cancelled_is_a_failure_of_the_hook(
    records: list[UsageEntry],
) -> None:
    async def before_call(self: Any, call: Call) -> None:
        own = asyncio.create_task(asyncio.sleep(60))
        own.cancel()
        await own

    with site(hook(before_call=before_call)), pytest.raises(NativeError) as raised:
        complete(chat())
    assert (raised.value.status, records[0].error_code) == (500, "internal_error")


# --- metadata ------------------------------------------------------------------------------------


def test_metadata_of_hooks_wins_over_the_clients(records: list[UsageEntry]) -> None:
    with site(site_hooks.Guarding):
        complete(chat(metadata={"team": "another", "a": "b"}))
    assert records[0].metadata == {"team": "search", "a": "b"}


def test_a_client_cannot_push_out_the_metadata_of_hooks(records: list[UsageEntry]) -> None:
    with site(site_hooks.Guarding):
        complete(chat(metadata={f"name-{number}": "" for number in range(16)}))
    assert records[0].metadata["team"] == "search"


def test_metadata_is_bounded_and_text() -> None:
    assert bounded_metadata({"number": 3, 4: "x" * 1000, "n" * 100: None}) == {
        "number": "3",
        "4": "x" * 512,
        "n" * 64: "None",
    }
    assert len(bounded_metadata(dict.fromkeys(range(100)))) == 16


def test_metadata_that_cannot_be_recorded_does_not_fail_the_call(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    async def before_call(self: Any, call: Call) -> None:
        call.metadata = None  # type: ignore[assignment]

    with site(hook(before_call=before_call)):
        assert text_of(complete(chat())) == "Hi there"
    assert [record.status for record in records] == ["ok"]
    assert "metadata of hooks cannot be recorded" in caplog.text


# --- the setting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("tests.gateway.site_hooks.Shouting", "must be a list"),
        (["nowhere.Hook"], "nowhere"),
        (["tests.gateway.site_hooks.hook"], "hook"),
        (["native_api.gateway.complete"], "is not a class"),
        (["tests.gateway.site_hooks.NeedsArguments"], r"NeedsArguments\(\) needs arguments"),
        (["tests.gateway.site_hooks.Misspelled"], "Misspelled has none of the methods of hooks"),
        (
            ["tests.gateway.site_hooks.Synchronous"],
            "Synchronous.before_call is not asynchronous. Write 'async def before_call'",
        ),
        (["tests.gateway.site_hooks.Failing"], r"Failing\(\) raises LookupError"),
        (
            ["tests.gateway.site_hooks.TakesTooLittle"],
            r"TakesTooLittle.after_call does not take .*'async def after_call\(self, call, reply\)'",
        ),
    ],
)
def test_an_invalid_setting_says_what_to_do(value: Any, words: str) -> None:
    with (
        override_settings(NATIVE_API={"PROVIDERS": {"echo": {}}, "HOOKS": value}),
        pytest.raises(SettingError, match=words) as raised,
    ):
        complete(chat())
    assert raised.value.path == "NATIVE_API['HOOKS']"
    assert SECRET not in str(raised.value)
