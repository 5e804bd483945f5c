"""Hooks of a site around calls from Python code: what they see, change, refuse and record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from native_api import gateway
from native_api.exceptions import (
    InvalidRequest,
    ModelNotAllowed,
    NativeError,
    RateLimited,
    SettingError,
)
from native_api.gateway.hooks import bounded_metadata
from native_api.hooks import Call, CallHooks
from native_api.types import Caller
from native_api.usage.entry import UsageEntry
from tests.gateway import site_hooks
from tests.gateway.hooked_calls import (
    SECRET,
    SEEN,
    chat,
    complete,
    hook,
    read,
    scripted,
    site,
    text_of,
    words_of,
)
from tests.scripted_provider import (
    Upstream,
    completion,
    says,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_seen")]


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
