"""Maps a provider's errors to the gateway's own. A dialect with its own error format finds the
error object first and then calls `build_error`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.context_length import is_context_length_error
from native_api.exceptions import UpstreamError
from native_api.types import Json


def is_error(body: Json) -> bool:
    """Whether a body or event that came with status 200 is an error."""
    if body.get("error") or body.get("object") == "error":
        return True
    if body.get("choices"):
        return False
    return bool(body.get("errors")) or _read_minimax_code(body) != 0 or _is_bare_error(body)


def _is_bare_error(body: Json) -> bool:
    """Whether the body itself is the error object (Cerebras, FastAPI)."""
    return (
        "choices" not in body
        and "id" not in body
        and bool(body.get("detail") or (body.get("message") and body.get("code")))
    )


def _read_minimax_code(body: Json) -> int:
    """MiniMax's own code, 0 for success.

    https://platform.minimax.io/docs/api-reference/errorcode (2026-11).
    """
    status = (body.get("base_resp") or {}).get("status_code")
    return status if isinstance(status, int) else 0


def read_embedded_error(body: Any) -> UpstreamError:
    """The error in a body or event that came with status 200."""
    detail = find_error_detail(body)
    if detail and (isinstance(body, list) or is_error(body)):
        return build_error(read_status(detail), detail, {})
    return UpstreamError("The provider's answer is not a chat completion.")


STATUS_BY_MINIMAX_CODE: Final = {
    1002: 429,
    1004: 401,
    1008: 402,
    1026: 400,
    1027: 400,
    1039: 429,
    2013: 400,
    2049: 401,
}
STATUS_BY_CODE: Final = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "overloaded_error": 529,
}
"""Code or type of an error -> the HTTP status it stands for."""

IMAGE_ERROR_PREFIXES: Final = (
    "invalid_image",
    "image_",
    "invalid_base64_image",
    "unsupported_image",
    "empty_image",
    "failed_to_download_image",
)


def read_status(detail: Json) -> int:
    """The HTTP status that an error object names by any of the known members, 0 if none."""
    for name in ("code", "status", "status_code", "http_status_code"):
        value = detail.get(name)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
        if isinstance(number, int) and number in STATUS_BY_MINIMAX_CODE:
            return STATUS_BY_MINIMAX_CODE[number]
    code = str(detail.get("code") or "")
    if code.startswith(IMAGE_ERROR_PREFIXES):
        return 400
    return STATUS_BY_CODE.get(code) or STATUS_BY_CODE.get(str(detail.get("type") or ""), 0)


def find_error_detail(body: Any) -> Json:
    """The object that describes the error, `{}` if there is none.

    Known shapes: `{"error": {…}}`, `{"error": "…"}`, `{"errors": […]}`,
    `{"message": {"detail": […]}}`, a list of any of these, or the body itself.
    """
    if isinstance(body, list):
        return find_error_detail(body[0]) if body else {}
    if not isinstance(body, dict):
        return {}
    if _read_minimax_code(body):
        return {
            "code": body["base_resp"]["status_code"],
            "message": body["base_resp"].get("status_msg"),
        }
    error = body.get("error") or body.get("errors") or body
    if isinstance(error, list):
        error = error[0] if error else {}
    if not isinstance(error, dict):
        return {**_read_error_fields(body), "message": str(error)}
    return {**error, "message": _read_message(error)}


def _read_error_fields(body: Json) -> Json:
    """The members that accompany an `error` that is only text (xAI, Hugging Face)."""
    return {name: body[name] for name in ("code", "type", "param") if name in body}


def _read_message(error: Json) -> str:
    """The message of an error object, with that of the provider behind it, if any.

    OpenRouter passes on the latter in `metadata.raw`.
    """
    message = next(
        filter(
            None,
            (
                _read_text(error.get(name))
                for name in ("message", "detail", "error", "msg", "title")
            ),
        ),
        "",
    )
    metadata = error.get("metadata")
    raw = _read_raw_message(metadata.get("raw")) if isinstance(metadata, dict) else ""
    return f"{message}: {raw}" if raw and raw not in message else message


def _read_text(value: Any) -> str:
    """Text as it is; FastAPI's lists of faults as `path: message; …`."""
    if isinstance(value, dict):
        value = value.get("detail") or value.get("message") or value.get("msg")
    if isinstance(value, list):
        return "; ".join(_read_faults(value))
    return value if isinstance(value, str) else ""


def _read_faults(faults: Iterable[Any]) -> Iterable[str]:
    for fault in faults:
        if isinstance(fault, dict) and fault.get("msg"):
            path = ".".join(str(step) for step in fault.get("loc") or () if step != "body")
            yield f"{path}: {fault['msg']}" if path else str(fault["msg"])
        elif isinstance(fault, str):
            yield fault


def _read_raw_message(raw: Any) -> str:
    if not isinstance(raw, str):
        return ""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw
    return str(find_error_detail(parsed).get("message") or "") or raw


CLIENT_ERROR_CODES = {
    "context_length_exceeded",
    "content_policy_violation",
    "content_filter",
    "invalid_image",
    "string_above_max_length",
}
"""Error codes that are passed on, because they tell the client what to change."""


def build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    """The gateway's error for a provider's. `status` is 0 if the provider gave none."""
    text = detail.get("message") or detail.get("detail") or ""
    message = text if isinstance(text, str) else ""
    code = str(detail.get("code") or detail.get("type") or "")
    upstream_status = status or None
    if is_context_length_error(status, detail, message):
        return UpstreamError(
            message,
            status=400,
            code="context_length_exceeded",
            param="messages",
            upstream_status=upstream_status,
        )
    if status in (400, 413, 422) or code in CLIENT_ERROR_CODES:
        return UpstreamError(
            message or "The provider refused the request.",
            status=400,
            code=code if code in CLIENT_ERROR_CODES else "invalid_request",
            param=detail.get("param") if isinstance(detail.get("param"), str) else None,
            upstream_status=upstream_status,
        )
    if status == 429:
        return _build_rate_limit_error(code, message, headers)
    summary = f"The provider answered {status}" if status else "The provider reported an error"
    return UpstreamError(
        f"{summary}: {message}" if message else f"{summary}.",
        upstream_status=upstream_status,
        retry_after=read_retry_after(headers),
    )


def build_site_error(status: int, message: str) -> UpstreamError:
    """An error that the site has to fix, not the client. Retrying does not help."""
    error = UpstreamError(
        f"The provider answered {status}: {message}", upstream_status=status or None
    )
    error.headers["x-should-retry"] = "false"
    return error


RATE_LIMITED: Final = "The provider limits its use (429), not this gateway"
NO_CREDIT: Final = "The provider says (429) that this site's account there has no credit left"


def _build_rate_limit_error(code: str, message: str, headers: Mapping[str, str]) -> UpstreamError:
    has_no_credit = code == "insufficient_quota"
    summary = NO_CREDIT if has_no_credit else RATE_LIMITED
    error = UpstreamError(
        f"{summary}: {message}" if message else f"{summary}.",
        status=429,
        code="rate_limit_exceeded",
        upstream_status=429,
        retry_after=read_retry_after(headers),
    )
    if has_no_credit:  # so waiting does not help
        error.headers["x-should-retry"] = "false"
    return error


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`; None if neither is a number."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
    return None


def parse_error_detail(body: bytes) -> Json:
    """`find_error_detail` of a body that may be anything."""
    try:
        return find_error_detail(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error of a non-2xx answer. `body` may be anything."""
    return build_error(status, parse_error_detail(body), headers)


def build_truncation_error() -> UpstreamError:
    """The error of a stream that ended before the reply was complete."""
    return UpstreamError(
        "The provider's stream ended before the answer did.", code="stream_truncated"
    )
