"""Hooks of a site around streams, and around calls whose caller leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from native_api import background, gateway
from native_api.exceptions import (
    InvalidRequest,
    NativeError,
)
from native_api.hooks import Call
from native_api.types import Caller
from native_api.usage.entry import UsageEntry
from tests.gateway import site_hooks
from tests.gateway.hooked_calls import (
    A_TASK,
    SEEN,
    chat,
    complete,
    hook,
    noting,
    read,
    scripted,
    site,
    words_of,
)
from tests.scripted_provider import (
    DONE,
    Upstream,
    cuts,
    event,
    streams,
)
from tests.servers import until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_seen")]


# --- streams -------------------------------------------------------------------------------------


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
        own = asyncio.create_task(asyncio.Event().wait())
        own.cancel()
        await own

    with site(hook(before_call=before_call)), pytest.raises(NativeError) as raised:
        complete(chat())
    assert (raised.value.status, records[0].error_code) == (500, "internal_error")
