"""Anthropic's errors: `{"type": "error", "error": {"type", "message"}, "request_id"}`, as a body or
as an event of a stream.

Source: https://platform.claude.com/docs/en/api/errors (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.errors import (
    build_error,
    build_site_error,
    find_error_detail,
    parse_error_detail,
    read_embedded_error,
)
from native_api.exceptions import UpstreamError
from native_api.types import Json

STATUS_BY_ERROR_TYPE: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that an error inside a stream would have had as a response."""

CONTENT_POLICY_MESSAGE: Final = re.compile(r"content filtering policy", re.IGNORECASE)
ACCOUNT_MESSAGE: Final = re.compile(
    r"credit balance|usage limits|disabled organization", re.IGNORECASE
)
"""Messages of a 400 that only the owner of the account, the site, can act on."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error of a non-2xx response. The body may be anything."""
    return _build_error(status, parse_error_detail(body), headers)


def read_reply_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of a reply."""
    if not isinstance(body, dict) or body.get("type") != "error":
        return read_embedded_error(body)
    detail = find_error_detail(body)
    return _build_error(STATUS_BY_ERROR_TYPE.get(str(detail.get("type")), 0), detail, {})


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    message = str(detail.get("message") or "")
    if status == 400 and ACCOUNT_MESSAGE.search(message):
        return build_site_error(status, message)
    if status == 400 and CONTENT_POLICY_MESSAGE.search(message):
        detail = {**detail, "code": "content_policy_violation"}
    return build_error(status, detail, headers)
