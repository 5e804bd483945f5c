"""Authentication methods that a site plugs in: nothing that they raise or return reveals a secret,
and what they send without a key goes only where the settings allow it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from native_api.exceptions import (
    ConfigurationError,
    InvalidRequest,
    ProviderUnusable,
    UpstreamError,
    UpstreamTimeout,
)
from native_api.types import Provider, Secret, Target, Timeouts, UpstreamRequest
from native_api.upstream import call, secrets
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.auth import methods, site_methods
from native_api.upstream.prepared_request import prepare
from native_api.upstream.redaction import redact

SECRET = "a-secret-of-the-site-1234567"


class SecretError(Exception):
    """An exception with a secret in its message."""


def plug_in(monkeypatch: pytest.MonkeyPatch, result: Any) -> None:
    """The method `acme`, which returns or raises this."""

    async def acme(*arguments: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(methods.AUTHORIZERS, "site", {"acme": site_methods.guard(acme)})


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    secrets._sent_credentials.clear()


PROVIDER = Provider("p", "openai", "https://acme.example/v1", Secret("k"), "acme")


def authorize(provider: Provider = PROVIDER, url: str = "https://acme.example/v1") -> Any:
    request = UpstreamRequest(url, {}, {"accept": "text/event-stream"})
    return asyncio.run(methods.authorize(request, "POST", b"{}", provider))


@pytest.mark.parametrize(
    "error", [InvalidRequest(f"the token {SECRET} is gone"), asyncio.CancelledError(SECRET)]
)
def test_errors_that_are_not_about_the_provider_are_failures_of_the_method(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    plug_in(monkeypatch, error)
    with pytest.raises(UpstreamError) as raised:
        authorize()
    assert SECRET not in str(raised.value)


def test_the_headers_are_sent_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, {"X-Acme-Key": Secret("k"), "Accept": "application/json"})
    assert authorize() == {"x-acme-key": "k", "accept": "application/json"}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "the headers must be a dictionary, not NoneType"),
        ([("x-acme", SECRET)], "the headers must be a dictionary, not list"),
        ({"x-acme": SECRET.encode()}, "the header x-acme must be a string, not bytes"),
        ({f"x {SECRET}": "1"}, "a header has an invalid name"),
        ({b"x-acme": SECRET}, "a header has an invalid name"),
        ({"x-acme": f"{SECRET}\r\nx-more: 1"}, "the header x-acme has characters that"),
        ({"x-acme": f"{SECRET}ä"}, "the header x-acme has characters that"),
        (SecretError(SECRET), "SecretError in "),
        (KeyError(SECRET), "KeyError in "),
        (TimeoutError(SECRET), "TimeoutError in "),
    ],
)
def test_a_failure_names_no_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, result: Any, reason: str
) -> None:
    plug_in(monkeypatch, result)
    with pytest.raises(UpstreamError) as caught:
        authorize()
    assert caught.value.message == "The gateway has no credentials for this provider."
    assert (caught.value.status, caught.value.code) == (502, "provider_error")
    [line] = caplog.records
    assert line.getMessage().startswith(f"AUTH 'acme' of the provider p: {reason}")
    assert line.exc_info is None
    assert SECRET not in caplog.text
    if isinstance(result, BaseException):
        assert "test_site_methods.py, line " in line.getMessage()


@pytest.mark.parametrize("error", [ProviderUnusable("No tenant."), UpstreamError("Not today.")])
def test_errors_of_the_gateway_pass(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    plug_in(monkeypatch, error)
    with pytest.raises(type(error)) as caught:
        authorize()
    assert caught.value is error


def test_the_reason_of_a_refusal_is_logged_once_without_the_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plug_in(monkeypatch, ProviderUnusable(f"No tenant has {SECRET}."))
    with pytest.raises(ProviderUnusable) as caught:
        authorize(replace(PROVIDER, api_key=Secret(SECRET)))
    assert "tenant" not in caught.value.message
    assert [line.getMessage() for line in caplog.records] == [
        "The provider p is not called: No tenant has (hidden)."
    ]


def test_it_may_take_no_longer_than_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*arguments: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(methods.AUTHORIZERS, "site", {"acme": site_methods.guard(never)})
    target = Target(replace(PROVIDER, timeouts=Timeouts(total=0.05)), "m")
    prepared = prepare({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, target)
    with pytest.raises(UpstreamTimeout):
        asyncio.run(call.complete(prepared, AttemptLog()))


# --- redaction -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "text", "redacted"),
    [
        ({"x-acme": "short-key"}, "short-key is wrong", "(hidden) is wrong"),
        ({"x-acme": f"HMAC {SECRET}"}, f"no such {SECRET}!", "no such (hidden)!"),
        (
            {"authorization": f'Acme id="site", signature="{SECRET}"'},
            f"id site, signature {SECRET}",
            "id site, signature (hidden)",
        ),
        ({"x-acme": SECRET}, "the word acme stays", "the word acme stays"),
    ],
)
def test_what_was_sent_is_hidden(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], text: str, redacted: str
) -> None:
    plug_in(monkeypatch, headers)
    authorize()
    assert redact(text, PROVIDER) == redacted


def test_only_the_credentials_of_the_last_calls_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(50):
        plug_in(monkeypatch, {"x-acme": f"{SECRET}-{number}", "x-date": f"17000000{number:02}"})
        authorize()
    assert f"{SECRET}-49" in secrets._sent_credentials.get("p", ())
    assert len(secrets._sent_credentials.get("p", ())) <= 2 * secrets.MAX_TOKENS


# --- without a key -------------------------------------------------------------------------------


def test_without_a_key_it_is_asked_only_for_hosts_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plug_in(monkeypatch, {"x-acme": SECRET})
    hosts = frozenset({"acme.example"})
    keyless = Provider("p", "openai", "https://acme.example", auth="acme", identity_hosts=hosts)
    assert authorize(keyless)["x-acme"] == SECRET
    with pytest.raises(ProviderUnusable) as caught:
        authorize(keyless, "https://evil.example/v1")
    assert "evil" not in caught.value.message
    assert "what AUTH 'acme' makes is not sent to https://evil.example/v1" in caplog.text
    methods.check(keyless)
    with pytest.raises(ConfigurationError) as refused:
        methods.check(Provider("p", "openai", "https://evil.example", auth="acme"))
    assert refused.value.message == (
        "no API_KEY, and what AUTH 'acme' makes is not sent to https://evil.example"
    )
    assert "IDENTITY_HOSTS" in refused.value.hint
