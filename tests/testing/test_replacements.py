"""Nothing leaves the process, nothing is written elsewhere, and nothing is left for the next
test."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command

from native_api import background, gateway, testing
from native_api.catalog import catalog
from native_api.exceptions import NativeError, RateLimited
from native_api.models import PriceList
from native_api.pricing import lookup
from native_api.testing import ScriptedProvider
from native_api.testing.transport import RequestOutside, address_of
from native_api.types import Caller
from native_api.upstream import transport
from native_api.usage import recorder
from tests.test_imports import PACKAGE, rooms_imported
from tests.testing.conftest import NATIVE_API

CHATS = "/native/v1/chat/completions"


def ask(model: str = "fast", **fields: Any) -> Any:
    request: Any = testing.chat(model=model, **fields)
    return gateway.complete_sync(request, Caller(user_name="alice")).completion


# --- nothing leaves the process ------------------------------------------------------------------


@pytest.mark.parametrize(
    "provider",
    [
        {"PRESET": "anthropic"},
        {"PRESET": "gemini"},
        {"PRESET": "cohere"},
        {"PRESET": "ollama"},
        {"PRESET": "bedrock", "OPTIONS": {"region": "eu-central-1"}},
        {"PRESET": "echo"},
        {"DIALECT": "openai_responses", "BASE_URL": "https://vendor.invalid/v1", "API_KEY": "k"},
        {"DIALECT": "openai", "BASE_URL": "https://vendor.invalid/v1", "AUTH": "google"},
        {"DIALECT": "openai", "BASE_URL": "https://vendor.invalid/{model}", "AUTH": "azure"},
    ],
    ids=str,
)
def test_every_provider_is_scripted_whatever_its_wire_and_its_key(
    native_llm: ScriptedProvider, settings: Any, provider: dict[str, Any]
) -> None:
    settings.NATIVE_API = {"PROVIDERS": {"ours": provider}}
    native_llm.reply("Scripted.")
    reply = ask("ours/some-model", max_completion_tokens=5)
    assert reply["choices"][0]["message"]["content"] == "Scripted."
    assert native_llm.calls[0].endpoint == "chat/completions"


@pytest.mark.parametrize("name", ["ours", "ünser", "with space", "a%2Fb"])
def test_any_name_of_a_provider_reaches_it(
    native_llm: ScriptedProvider, settings: Any, name: str
) -> None:
    settings.NATIVE_API = {"PROVIDERS": {name: {"PRESET": "echo"}}}
    ask(f"{name}/some-model")
    assert str(native_llm.calls[0].attempts[0]) == f"{name}/some-model"


def test_whatever_else_is_sent_is_refused(native_llm: ScriptedProvider) -> None:
    async def send() -> None:
        await transport.send("POST", "https://vendor.invalid/token", {}, b"{}", 1.0)

    with pytest.raises(RequestOutside, match=r"vendor\.invalid"):
        background.run(send())
    native_llm.problems.clear()


def test_remote_files_are_not_fetched(native_llm: ScriptedProvider, settings: Any) -> None:
    settings.NATIVE_API = {**NATIVE_API, "REMOTE_FILES": {}}
    url = "https://files.invalid/cat.png"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    request: Any = testing.chat(content, model="eu/claude-haiku-4-5")
    gateway.complete_sync(request, Caller())
    assert native_llm.calls[0].messages[0]["content"][0]["image_url"]["url"] == url


@pytest.mark.django_db
def test_prices_are_not_fetched(native_llm: ScriptedProvider) -> None:
    with pytest.raises(CommandError, match="lets nothing out"):
        call_command("native_update_prices")
    assert not PriceList.objects.exists()


def test_nothing_of_the_gateway_imports_it() -> None:
    importing = {path.name for path in PACKAGE.rglob("*.py") if "testing" in rooms_imported(path)}
    own = {path.name for path in (PACKAGE / "testing").glob("*.py")}
    assert importing - own == {"pytest_plugin.py"}


def test_outside_of_a_test_the_address_of_a_scripted_provider_cannot_be_called() -> None:
    async def send() -> None:
        url = f"{address_of('any')}/chat/completions"
        await transport.send("POST", url, {}, b"{}", 1.0)

    with pytest.raises(NativeError, match="not a valid URL"):
        background.run(send())


# --- nothing is left for the next test -----------------------------------------------------------


def test_everything_is_as_before_when_the_test_ends() -> None:
    before = (
        transport.current_transport,
        recorder.record,
        catalog.build_usable_provider,  # type: ignore[attr-defined]
        lookup.ensure_ready,
    )
    with testing.scripted_provider() as llm:
        with testing.scripted_provider() as inner:
            ask()
        ask()
        ask()
    assert (len(inner.calls), len(llm.calls)) == (1, 2)
    assert before == (
        transport.current_transport,
        recorder.record,
        catalog.build_usable_provider,  # type: ignore[attr-defined]
        lookup.ensure_ready,
    )


def test_limits_begin_at_zero_in_each_test(settings: Any) -> None:
    limit = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "hour"}
    settings.NATIVE_API = {**NATIVE_API, "LIMITS": [limit]}
    for _ in range(2):
        with testing.scripted_provider():
            ask()
            with pytest.raises(RateLimited):
                ask()


@pytest.mark.django_db
def test_throttles_begin_at_zero_in_each_test(settings: Any) -> None:
    cache.clear()
    settings.NATIVE_API = {**NATIVE_API, "THROTTLE_RATES": {"caller": "1/h"}}
    _, text = testing.create_key()
    for _ in range(2):
        with testing.scripted_provider():
            client, chat = testing.client(text), testing.chat(model="fast")
            statuses = [client.post(CHATS, chat, format="json").status_code for _ in range(2)]
            assert statuses == [200, 429]


def test_settings_may_change_within_a_test(native_llm: ScriptedProvider, settings: Any) -> None:
    ask()
    settings.NATIVE_API = {"PROVIDERS": {"other": {"PRESET": "mistral"}}}
    ask("other/small")
    assert [call.provider for call in native_llm.calls] == ["openai", "other"]


def test_published_prices_are_those_of_the_real_provider(native_llm: ScriptedProvider) -> None:
    native_llm.reply("One", usage={"prompt_tokens": 1_000_000, "completion_tokens": 0})
    ask("openai/gpt-4o-mini")
    assert native_llm.records[0].cost == Decimal("0.15")


# --- decorated tests -----------------------------------------------------------------------------


@testing.scripted_provider()
def decorated(first: str, llm: ScriptedProvider) -> Any:
    llm.reply(first)
    return ask()["choices"][0]["message"]["content"]


@testing.scripted_provider()
async def decorated_async(first: str, llm: ScriptedProvider) -> Any:
    llm.reply(first)
    request: Any = testing.chat(model="fast")
    reply = await gateway.complete(request, Caller())
    return reply.completion["choices"][0]["message"]["content"]


def test_a_decorated_test_gets_the_provider_as_its_last_argument() -> None:
    assert [decorated("One."), decorated("Two.")] == ["One.", "Two."]
    assert decorated.__name__ == "decorated"


def test_a_decorated_async_test_gets_it_too() -> None:
    assert background.run(decorated_async("One.")) == "One."


def test_a_class_cannot_be_decorated() -> None:
    with pytest.raises(TypeError, match=r"class Tests\(ScriptedProviderMixin"):

        @testing.scripted_provider()
        class Tests:
            pass


def test_blocks_that_overlap_are_an_error_and_leave_nothing(native_llm: ScriptedProvider) -> None:
    before = transport.current_transport
    outer, inner = testing.scripted_provider(), testing.scripted_provider()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(RuntimeError, match="ended before"):
        outer.__exit__(None, None, None)
    assert transport.current_transport is not before
    inner.__exit__(None, None, None)
    assert transport.current_transport is before
