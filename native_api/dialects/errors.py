"""What a provider's error means in DESIGN's table. Shared by the dialects; each finds its own error object first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.exceptions import UpstreamError
from native_api.types import Json


def is_error(body: Json) -> bool:
    return bool(body.get("error")) or body.get("object") == "error"


def error_inside(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    if isinstance(body, dict) and is_error(body):
        detail = error_object(body)
        status = detail.get("code") if isinstance(detail.get("code"), int) else 0
        return provider_error(status or 0, detail, {})
    return UpstreamError("The provider's answer is not a chat completion.")


def error_object(body: Any) -> Json:
    """The object that describes the error: `{"error": {…}}`, `{"error": "…"}`, or the body itself (vLLM)."""
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    return error if isinstance(error, dict) else {"message": str(error)}


CLIENT_CODES = {"context_length_exceeded", "content_policy_violation", "content_filter", "invalid_image", "string_above_max_length"}
"""Error codes that tell what the client must mend."""


def provider_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    """Map a provider's error to DESIGN's table. `status` is 0 where the provider gave none."""
    message = detail.get("message") or detail.get("detail") or ""
    words = message if isinstance(message, str) else ""
    code = str(detail.get("code") or detail.get("type") or "")
    upstream_status = status or None
    if is_context_length(code, words):
        return UpstreamError(words, status=400, code="context_length_exceeded", param="messages", upstream_status=upstream_status)
    if status in (400, 413, 422) or code in CLIENT_CODES:
        known = code if code in CLIENT_CODES else "invalid_request"
        param = detail.get("param") if isinstance(detail.get("param"), str) else None
        words = words or "The provider refused the request."
        return UpstreamError(words, status=400, code=known, param=param, upstream_status=upstream_status)
    if status == 429:
        return UpstreamError(
            words or "The provider's rate limit is reached.", status=429, code="rate_limit_exceeded",
            upstream_status=429, retry_after=retry_after(headers),
        )  # fmt: skip
    told = f"The provider answered {status}" if status else "The provider reported an error"
    return UpstreamError(f"{told}: {words}" if words else f"{told}.", upstream_status=upstream_status, retry_after=retry_after(headers))


def site_error(status: int, words: str) -> UpstreamError:
    """What the site must mend, not the client, whatever status the provider gave it. Trying again does not help."""
    error = UpstreamError(f"The provider answered {status}: {words}", upstream_status=status or None)
    error.headers["x-should-retry"] = "false"
    return error


TOO_LONG = (
    "maximum context length", "exceeds the context length", "context window", "prompt is too long", "input is too long",
    "exceeds the maximum number of tokens", "exceed context limit",
)  # fmt: skip
"""How providers say that a conversation is too long for the model."""


def is_context_length(code: str, words: str) -> bool:
    lowered = words.lower()
    return code == "context_length_exceeded" or any(phrase in lowered for phrase in TOO_LONG)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`; None where neither is a number."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
    return None
