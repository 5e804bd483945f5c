"""What a provider's error means in DESIGN's table. Shared by the dialects; each finds its own error
object first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from native_api.exceptions import UpstreamError
from native_api.types import Json


def is_error(body: Json) -> bool:
    """Whether a body or event that came with status 200 is an error in place of an answer."""
    if body.get("error") or body.get("object") == "error":
        return True
    if body.get("choices"):
        return False
    return bool(body.get("errors")) or _base_status(body) != 0 or _is_bare(body)


def _is_bare(body: Json) -> bool:
    """An error without a frame around it (Cerebras, FastAPI's own)."""
    return (
        "choices" not in body
        and "id" not in body
        and bool(body.get("detail") or (body.get("message") and body.get("code")))
    )


def _base_status(body: Json) -> int:
    """MiniMax's own code: 0 for success. https://platform.minimax.io/docs/api-reference/errorcode
    (2026-11)."""
    status = (body.get("base_resp") or {}).get("status_code")
    return status if isinstance(status, int) else 0


def read_embedded_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    detail = find_error_detail(body)
    if detail and (isinstance(body, list) or is_error(body)):
        return build_error(read_status(detail), detail, {})
    return UpstreamError("The provider's answer is not a chat completion.")


BASE_STATUSES: Final = {
    1002: 429,
    1004: 401,
    1008: 402,
    1026: 400,
    1027: 400,
    1039: 429,
    2013: 400,
    2049: 401,
}
STATUSES: Final = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_error": 500,
    "overloaded_error": 529,
}
"""Codes and types of errors -> the status they would have come with."""

IMAGE_FAULTS: Final = (
    "invalid_image",
    "image_",
    "invalid_base64_image",
    "unsupported_image",
    "empty_image",
    "failed_to_download_image",
)


def read_status(detail: Json) -> int:
    """The HTTP status that an error object names, in one of the family's ways; 0 where it names
    none."""
    for name in ("code", "status", "status_code", "http_status_code"):
        value = detail.get(name)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 400 <= number < 600:
            return number
        if isinstance(number, int) and number in BASE_STATUSES:
            return BASE_STATUSES[number]
    code = str(detail.get("code") or "")
    if code.startswith(IMAGE_FAULTS):
        return 400
    return STATUSES.get(code) or STATUSES.get(str(detail.get("type") or ""), 0)


def find_error_detail(body: Any) -> Json:
    """The object that describes the error, however it is framed: `{"error": {…}}`, `{"error":
    "…"}`, `{"errors": […]}`, `{"message": {"detail": […]}}`, a list of any of them, or the body
    itself.
    """
    if isinstance(body, list):
        return find_error_detail(body[0]) if body else {}
    if not isinstance(body, dict):
        return {}
    if _base_status(body):
        return {
            "code": body["base_resp"]["status_code"],
            "message": body["base_resp"].get("status_msg"),
        }
    error = body.get("error") or body.get("errors") or body
    if isinstance(error, list):
        error = error[0] if error else {}
    if not isinstance(error, dict):
        return {**_plain(body), "message": str(error)}
    return {**error, "message": _words(error)}


def _plain(body: Json) -> Json:
    """Code and type beside an `error` that is only text (xAI, Hugging Face)."""
    return {name: body[name] for name in ("code", "type", "param") if name in body}


def _words(error: Json) -> str:
    """What an error object says, a provider's provider's words among it (OpenRouter's
    `metadata.raw`)."""
    words = next(
        filter(
            None,
            (_text(error.get(name)) for name in ("message", "detail", "error", "msg", "title")),
        ),
        "",
    )
    metadata = error.get("metadata")
    raw = _raw_words(metadata.get("raw")) if isinstance(metadata, dict) else ""
    return f"{words}: {raw}" if raw and raw not in words else words


def _text(value: Any) -> str:
    """Words as they are; of FastAPI's lists of faults, each with its place."""
    if isinstance(value, dict):
        value = value.get("detail") or value.get("message") or value.get("msg")
    if isinstance(value, list):
        return "; ".join(_faults(value))
    return value if isinstance(value, str) else ""


def _faults(faults: Iterable[Any]) -> Iterable[str]:
    for fault in faults:
        if isinstance(fault, dict) and fault.get("msg"):
            place = ".".join(str(step) for step in fault.get("loc") or () if step != "body")
            yield f"{place}: {fault['msg']}" if place else str(fault["msg"])
        elif isinstance(fault, str):
            yield fault


def _raw_words(raw: Any) -> str:
    if not isinstance(raw, str):
        return ""
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw
    return str(find_error_detail(parsed).get("message") or "") or raw


CLIENT_CODES = {
    "context_length_exceeded",
    "content_policy_violation",
    "content_filter",
    "invalid_image",
    "string_above_max_length",
}
"""Error codes that tell what the client must mend."""


def build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    """Map a provider's error to DESIGN's table. `status` is 0 where the provider gave none."""
    message = detail.get("message") or detail.get("detail") or ""
    words = message if isinstance(message, str) else ""
    code = str(detail.get("code") or detail.get("type") or "")
    upstream_status = status or None
    if is_context_length_error(code, words):
        return UpstreamError(
            words,
            status=400,
            code="context_length_exceeded",
            param="messages",
            upstream_status=upstream_status,
        )
    if status in (400, 413, 422) or code in CLIENT_CODES:
        known = code if code in CLIENT_CODES else "invalid_request"
        param = detail.get("param") if isinstance(detail.get("param"), str) else None
        words = words or "The provider refused the request."
        return UpstreamError(
            words, status=400, code=known, param=param, upstream_status=upstream_status
        )
    if status == 429:
        return _exhausted(code, words, headers)
    told = f"The provider answered {status}" if status else "The provider reported an error"
    return UpstreamError(
        f"{told}: {words}" if words else f"{told}.",
        upstream_status=upstream_status,
        retry_after=read_retry_after(headers),
    )


def build_site_error(status: int, words: str) -> UpstreamError:
    """What the site must mend, not the client, whatever status the provider gave it. Trying again
    does not help."""
    error = UpstreamError(
        f"The provider answered {status}: {words}", upstream_status=status or None
    )
    error.headers["x-should-retry"] = "false"
    return error


def _exhausted(code: str, words: str, headers: Mapping[str, str]) -> UpstreamError:
    error = UpstreamError(
        words or "The provider's rate limit is reached.", status=429, code="rate_limit_exceeded",
        upstream_status=429, retry_after=read_retry_after(headers),
    )  # fmt: skip
    if code == "insufficient_quota":
        # The account is empty: no waiting helps.
        error.headers["x-should-retry"] = "false"
    return error


TOO_LONG = (
    "maximum context length", "exceeds the context length", "context window", "prompt is too long", "input is too long",
    "exceeds the maximum number of tokens", "exceed context limit",
)  # fmt: skip
"""How providers say that a conversation is too long for the model."""


def is_context_length_error(code: str, words: str) -> bool:
    lowered = words.lower()
    return code == "context_length_exceeded" or any(phrase in lowered for phrase in TOO_LONG)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`; None where neither is a number."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
    return None


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a non-2xx answer means whose error object is in one of the usual places; `body` may be
    anything."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return build_error(status, {}, headers)
    return build_error(status, find_error_detail(parsed), headers)
