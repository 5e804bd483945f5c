"""Google's errors: `{"error": {"code", "message", "status", "details"}}`, or a list of one of them.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193 (read
2026-11).
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
)
from native_api.exceptions import UpstreamError
from native_api.types import Json

CONTENT_POLICY_MESSAGE: Final = re.compile(
    r"responsible ai|safety (filter|polic)|prohibited content", re.IGNORECASE
)
SITE_FAULT_MESSAGE: Final = re.compile(r"location is not supported|billing", re.IGNORECASE)
"""Errors that Google answers with 400 although the site's account is at fault, not the client."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error that a non-2xx answer means; `body` may be anything."""
    return _build_error(status, parse_error_detail(body), headers)


def read_reply_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    if not isinstance(body, dict) or not body.get("error"):
        return UpstreamError("The provider's answer is not a chat completion.")
    detail = find_error_detail(body)
    code = detail.get("code")
    return _build_error(code if isinstance(code, int) else 0, detail, {})


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    message = str(detail.get("message") or "")
    details = [item for item in detail.get("details") or () if isinstance(item, dict)]
    error: Json = {"message": message}
    if status == 400 and (_is_bad_key(details, message) or SITE_FAULT_MESSAGE.search(message)):
        return build_site_error(status, message)
    if status == 400 and CONTENT_POLICY_MESSAGE.search(message):
        error["code"] = "content_policy_violation"
    delay = _read_retry_delay(details)
    if delay is not None:
        headers = {"retry-after": str(delay), **headers}
    return build_error(status, error, headers)


def _is_bad_key(details: list[Json], message: str) -> bool:
    return any(
        str(item.get("reason", "")).startswith("API_KEY_") for item in details
    ) or message.startswith("API key not valid")


def _read_retry_delay(details: list[Json]) -> float | None:
    """Seconds from a `google.rpc.RetryInfo`, whose delay looks like `34.07s`. None if there is
    none."""
    for item in details:
        delay = item.get("retryDelay")
        try:
            return float(str(delay).removesuffix("s"))
        except ValueError:
            continue
    return None
