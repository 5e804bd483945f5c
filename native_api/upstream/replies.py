"""Reads a provider's complete reply: an error, or a body that becomes a unified reply."""

from __future__ import annotations

import time
from typing import Any, Final

import httpx
import orjson

from native_api.dialects.base import Dialect
from native_api.dialects.shared.nesting import MAX_DEPTH, check_value_depth, count_brackets
from native_api.exceptions import NativeError, ProviderFault, UpstreamError
from native_api.logs import describe_failure, get_logger
from native_api.operations import Operation
from native_api.types import Json, Target
from native_api.upstream import transport
from native_api.upstream.faults import parse_retry_date, parse_should_retry

logger = get_logger("native_api.upstream")

MAX_ERROR_BYTES: Final = 256 * 1024


async def raise_for_status(response: httpx.Response, dialect: Dialect, target: Target) -> None:
    """Raises ProviderFault unless the status is 2xx."""
    status = response.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise UpstreamError(
            f"The provider answered {status}, a redirect. Redirects are not followed.",
            upstream_status=status,
        )
    body = await _read_error_body(response)
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        error = dialect.error(status, headers, body)
    except Exception as failure:
        log_failure(failure, target)
        error = UpstreamError(f"The provider answered {status}.", upstream_status=status)
    error.should_retry = parse_should_retry(headers.get("x-should-retry"))
    if error.retry_after is None:
        error.retry_after = parse_retry_date(headers.get("retry-after"), time.time())
    raise error


async def _read_error_body(response: httpx.Response) -> bytes:
    """The error's body; b"" if it is too long or the connection breaks."""
    try:
        return await transport.read_body(response, MAX_ERROR_BYTES)
    except ProviderFault:
        return b""


def parse_reply(
    operation: Operation, dialect: Dialect, body: bytes, target: Target, is_forwarded: bool = False
) -> tuple[Any, Json | None]:
    """The unified reply that a reply's body holds; and, if it goes on to a client of the same wire,
    the reply in this wire's words. Raises UpstreamError."""
    parsed = _parse_json(body)
    state = dialect.unfinished_state(parsed)
    if state:
        raise UpstreamError(f"The provider has not answered: the response is {state}.")
    try:
        forwarded = dialect.forward_reply(parsed, target) if is_forwarded else None
        return operation.parse_reply(dialect, parsed, target), forwarded
    except Exception as error:
        log_failure(error, target)
        if isinstance(error, NativeError):
            raise
        raise UpstreamError("The provider's answer cannot be understood.") from error


def read_token_count(dialect: Dialect, body: bytes, target: Target) -> int:
    """The number of tokens in a provider's reply. Raises UpstreamError."""
    parsed = _parse_json(body)
    try:
        return dialect.count_tokens_reply(parsed)
    except UpstreamError as error:
        log_failure(error, target)
        raise


def _parse_json(body: bytes) -> Any:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError("The provider's answer is not JSON.") from None
    if count_brackets(body) > MAX_DEPTH:
        check_value_depth(parsed)
    return parsed


def log_failure(error: Exception, target: Target) -> None:
    """Log where a dialect failed to read an answer. The answer may be wrong, or the dialect.

    The guards of dialects have made an UpstreamError of it and kept its cause. One without a cause
    is what the dialect says of the answer.
    """
    failure = error.__cause__ if isinstance(error, NativeError) else error
    if failure is not None:
        logger.warning(
            "The dialect %s could not read an answer of the provider %s: %s.",
            target.provider.dialect,
            target.provider.name,
            describe_failure(failure),
        )
