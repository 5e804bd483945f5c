"""Cohere's errors: `{"message", "id"}` (https://docs.cohere.com/reference/errors)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.errors import (
    build_error,
    parse_error_detail,
    read_embedded_error,
)
from native_api.exceptions import UpstreamError
from native_api.types import Json

BLOCKED_STATUS: Final = 498
"""The status for a request or an answer that contains a word of a blocklist
(https://docs.cohere.com/reference/errors)."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error that a non-2xx answer means; `body` may be anything."""
    return _build_error(status, parse_error_detail(body), headers)


def read_reply_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return _build_error(0, body, {})
    return read_embedded_error(body)


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    message = str(detail.get("message") or detail.get("data") or "")
    if status == BLOCKED_STATUS:
        return UpstreamError(
            message or "The provider blocked the request.",
            status=400,
            code="content_policy_violation",
            upstream_status=status,
        )
    error: Json = {"message": message}
    if message.lower().startswith("too many tokens: max tokens"):
        # "too many tokens" alone says it of a prompt that is too long.
        error["param"] = "max_tokens"
    return build_error(status, error, headers)
