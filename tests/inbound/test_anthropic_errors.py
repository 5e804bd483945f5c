"""Errors and headers in Anthropic's words. The judge is its SDK, which reads our bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2
import pytest

from native_api import exceptions
from native_api.exceptions import NativeError, UpstreamError, UpstreamTimeout
from native_api.inbound.anthropic import MessagesFormat
from tests.cases import each

MESSAGES = MessagesFormat()
NOW = datetime(2026, 11, 30, 12, 0, 59, tzinfo=UTC)


def upstream_error(status: int, upstream_status: int | None = None) -> UpstreamError:
    error = UpstreamError("OpenAI: no.", status=status, upstream_status=upstream_status)
    error.provider = "openai"
    return error


def raise_in_sdk(error: NativeError) -> anthropic.APIStatusError:
    """The exception that the SDK makes of the response to an error."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"x-request-id": "req-1", "content-type": "application/json", **error.headers}
        return httpx2.Response(
            MESSAGES.status(error),
            headers=MESSAGES.headers(headers, NOW),
            content=MESSAGES.error(error, "req-1"),
        )

    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    with http_client:
        client = anthropic.Anthropic(
            api_key="k", base_url="http://site.example", http_client=http_client, max_retries=0
        )
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
            )
    return caught.value


CASES: list[tuple[NativeError, type[anthropic.APIStatusError], int, str]] = [
    (exceptions.InvalidRequest(), anthropic.BadRequestError, 400, "invalid_request_error"),
    (
        exceptions.UnsupportedField("tools", "no tools here"),
        anthropic.BadRequestError,
        400,
        "invalid_request_error",
    ),
    (exceptions.NotAuthenticated(), anthropic.AuthenticationError, 401, "authentication_error"),
    (exceptions.InvalidApiKey(), anthropic.AuthenticationError, 401, "authentication_error"),
    (exceptions.BudgetExceeded(), anthropic.PaymentRequiredError, 402, "billing_error"),
    (exceptions.PermissionDenied(), anthropic.PermissionDeniedError, 403, "permission_error"),
    (exceptions.ModelNotFound(), anthropic.NotFoundError, 404, "not_found_error"),
    (exceptions.MethodNotAllowed(), anthropic.APIStatusError, 405, "invalid_request_error"),
    (exceptions.NotAcceptable(), anthropic.APIStatusError, 406, "invalid_request_error"),
    (exceptions.RequestTimeout(), anthropic.RequestTimeoutError, 408, "invalid_request_error"),
    (exceptions.RequestTooLarge(), anthropic.ContentTooLargeError, 413, "request_too_large"),
    (exceptions.UnsupportedMediaType(), anthropic.APIStatusError, 415, "invalid_request_error"),
    (exceptions.RateLimited(), anthropic.RateLimitError, 429, "rate_limit_error"),
    (NativeError(), anthropic.InternalServerError, 500, "api_error"),
    (upstream_error(400, 400), anthropic.BadRequestError, 400, "invalid_request_error"),
    (upstream_error(429, 429), anthropic.RateLimitError, 429, "rate_limit_error"),
    (upstream_error(502, 500), anthropic.InternalServerError, 502, "api_error"),
    (upstream_error(502, 401), anthropic.InternalServerError, 502, "api_error"),
    (upstream_error(502), anthropic.InternalServerError, 502, "api_error"),
    (upstream_error(502, 529), anthropic.OverloadedError, 529, "overloaded_error"),
    (UpstreamTimeout(), anthropic.GatewayTimeoutError, 504, "timeout_error"),
    (exceptions.Overloaded(), anthropic.ServiceUnavailableError, 503, "overloaded_error"),
    (exceptions.NoTargetAvailable(), anthropic.ServiceUnavailableError, 503, "overloaded_error"),
    (exceptions.Misconfigured("x"), anthropic.ServiceUnavailableError, 503, "api_error"),
    (exceptions.DatabaseUnavailable(), anthropic.ServiceUnavailableError, 503, "api_error"),
]


@each("error, kind, status, error_type", CASES)
def test_the_sdk_raises_its_own_error(
    error: NativeError, kind: type[anthropic.APIStatusError], status: int, error_type: str
) -> None:
    raised = raise_in_sdk(error)
    assert type(raised) is kind
    assert (raised.status_code, raised.type) == (status, error_type)
    assert raised.api_message == error.message
    assert raised.error_code == error.code
    assert raised.request_id == "req-1"


def test_every_error_of_the_gateway_is_among_these() -> None:
    kinds = {type(error) for error, *_ in CASES}
    others = {exceptions.ModelNotAllowed, exceptions.NotFound, exceptions.ProviderUnusable}
    ours = {kind for kind in list_kinds(NativeError) if kind.__module__ == exceptions.__name__}
    assert ours - kinds - others == {exceptions.ProviderFault}


def list_kinds(kind: type[NativeError]) -> list[type[NativeError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in list_kinds(below))]


def test_the_provider_and_the_place_are_named() -> None:
    body: Any = raise_in_sdk(upstream_error(502, 500)).body
    assert body["error"]["provider"] == "openai"
    body = raise_in_sdk(exceptions.InvalidRequest("No.", param="messages[0].role")).body
    assert body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "No.",
            "details": {"error_code": "invalid_request", "param": "messages[0].role"},
        },
        "request_id": "req-1",
    }


@each(
    "message, written",
    [
        (
            "OpenAI: Your input is too large.",
            "prompt is too long: OpenAI: Your input is too large.",
        ),
        ("Anthropic: Prompt is too long", "Anthropic: Prompt is too long"),
        (
            "Anthropic: input length and `max_tokens` exceed context limit: 9 + 9 > 10",
            "Anthropic: input length and `max_tokens` exceed context limit: 9 + 9 > 10",
        ),
    ],
)
def test_claude_code_learns_that_a_conversation_is_too_long(message: str, written: str) -> None:
    error = UpstreamError(message, status=400, code="context_length_exceeded")
    assert raise_in_sdk(error).api_message == written


def test_rate_limits_have_anthropics_names() -> None:
    headers = {
        "x-request-id": "req-1",
        "x-native-model": "fast",
        "x-should-retry": "false",
        "retry-after": "7",
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "9000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2h3m1s",
    }
    assert MESSAGES.headers(headers, NOW) == {
        "request-id": "req-1",
        "x-request-id": "req-1",
        "x-native-model": "fast",
        "x-should-retry": "false",
        "retry-after": "7",
        "anthropic-ratelimit-requests-limit": "600",
        "anthropic-ratelimit-requests-remaining": "599",
        "anthropic-ratelimit-requests-reset": "2026-11-30T12:01:00Z",
        "anthropic-ratelimit-tokens-limit": "9000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-11-30T14:04:00Z",
    }


def test_headers_of_a_response_without_limits_only_gain_the_id() -> None:
    assert MESSAGES.headers({"x-request-id": "r"}, NOW) == {"request-id": "r", "x-request-id": "r"}
    assert MESSAGES.headers({}, NOW) == {}
