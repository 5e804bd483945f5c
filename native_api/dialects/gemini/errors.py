"""Google's errors: `{"error": {"code", "message", "status", "details"}}`, sometimes alone in a
list.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193 (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.errors import build_error, build_site_error, find_error_detail
from native_api.exceptions import UpstreamError
from native_api.types import Json

TOO_LONG: Final = re.compile(
    r"(input|prompt) token count.{0,40} exceeds|exceeds the maximum number of tokens", re.IGNORECASE
)
POLICY: Final = re.compile(
    r"responsible ai|safety (filter|polic)|prohibited content", re.IGNORECASE
)
NOT_THE_CLIENTS: Final = re.compile(r"location is not supported|billing", re.IGNORECASE)
"""What Google answers with 400 although it is the site's account that must be mended."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a non-2xx answer means; `body` may be anything."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return build_error(status, {}, headers)
    return _build_error(status, _detail(parsed), headers)


def read_reply_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    if not isinstance(body, dict) or not body.get("error"):
        return UpstreamError("The provider's answer is not a chat completion.")
    detail = _detail(body)
    code = detail.get("code")
    return _build_error(code if isinstance(code, int) else 0, detail, {})


def _detail(parsed: Any) -> Json:
    return find_error_detail(parsed[0] if isinstance(parsed, list) and parsed else parsed)


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    words = str(detail.get("message") or "")
    details = [item for item in detail.get("details") or () if isinstance(item, dict)]
    told: Json = {"message": words}
    if TOO_LONG.search(words):
        told["code"] = "context_length_exceeded"
    elif status == 400 and (_is_bad_key(details, words) or NOT_THE_CLIENTS.search(words)):
        return build_site_error(status, words)
    elif status == 400 and POLICY.search(words):
        told["code"] = "content_policy_violation"
    delay = _retry_delay(details)
    return build_error(
        status, told, headers if delay is None else {"retry-after": str(delay), **headers}
    )


def _is_bad_key(details: list[Json], words: str) -> bool:
    return any(
        str(item.get("reason", "")).startswith("API_KEY_") for item in details
    ) or words.startswith("API key not valid")


def _retry_delay(details: list[Json]) -> float | None:
    """Seconds from a `google.rpc.RetryInfo`, whose delay looks like `34.07s`."""
    for item in details:
        delay = item.get("retryDelay")
        try:
            return float(str(delay).removesuffix("s"))
        except ValueError:
            continue
    return None
