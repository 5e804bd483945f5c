"""Several hooks of a site, and what they make of errors."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.conf import setting_errors
from native_api.exceptions import (
    InvalidRequest,
    NativeError,
    UpstreamError,
)
from native_api.gateway.hook_chain import NO_HOOKS, current_chain
from native_api.hooks import Call, CallHooks
from native_api.usage.entry import UsageEntry
from tests.gateway import site_hooks
from tests.gateway.hooked_calls import (
    SECRET,
    SEEN,
    chat,
    complete,
    hook,
    noting,
    scripted,
    site,
    text_of,
)
from tests.scripted_provider import (
    Upstream,
    says,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_seen")]


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
