"""Bedrock's errors: the type of an exception in a header or the body, and `{"message"}`. In a
stream, the type of the event is the type of the exception.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
and the errors of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
(read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.errors import build_error
from native_api.exceptions import UpstreamError
from native_api.types import Json

STATUS_BY_EXCEPTION: Final = {
    "accessdenied": 403,
    "conflict": 409,
    "expiredtoken": 403,
    "incompletesignature": 403,
    "internalerror": 500,
    "internalfailure": 500,
    "internalserver": 500,
    "invalidclienttokenid": 403,
    "invalidsignature": 403,
    "missingauthenticationtoken": 403,
    "modelerror": 424,
    "modelnotready": 429,
    "modelstreamerror": 424,
    "modeltimeout": 408,
    "notauthorized": 403,
    "optinrequired": 403,
    "resourcenotfound": 404,
    "servicequotaexceeded": 429,
    "serviceunavailable": 503,
    "throttling": 429,
    "unknownoperation": 404,
    "unrecognizedclient": 403,
    "validation": 400,
}
"""The HTTP status that an exception means. AWS sends some exceptions that the client cannot correct
with 400."""

CONTENT_POLICY_MESSAGE: Final = re.compile(
    r"content filter(s|ing)|responsible ai policy|blocked by (our|the) (content|safety)",
    re.IGNORECASE,
)


def is_exception(event_type: str) -> bool:
    """Whether an event of a stream is an error. All exceptions in the service's model end like
    this, and the decoder gives this ending to errors that are not in the model."""
    return event_type.endswith(("Exception", "Error"))


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error of a non-2xx response. The body may be anything."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = {}
    detail = parsed if isinstance(parsed, dict) else {}
    exception = _normalize_exception(
        headers.get("x-amzn-errortype") or _read_exception_type(detail)
    )
    error = _build_error(STATUS_BY_EXCEPTION.get(exception, status), detail, headers)
    error.upstream_status = status
    return error


def read_reply_error(event_type: str, body: Any) -> UpstreamError:
    """The error in an event of a stream, or in a body in place of a reply, whose `event_type` is
    ""."""
    detail = body if isinstance(body, dict) else {}
    exception = _normalize_exception(event_type or _read_exception_type(detail))
    return _build_error(STATUS_BY_EXCEPTION.get(exception, 0), detail, {})


def _read_exception_type(detail: Json) -> str:
    inner = detail.get("Output")
    return str(
        detail.get("__type")
        or detail.get("code")
        or (inner.get("__type") if isinstance(inner, dict) else "")
        or ""
    )


def _normalize_exception(name: str) -> str:
    """`throttling` for `ThrottlingException:http://…`, `com.amazon#ThrottlingException` and
    `throttlingException`."""
    return name.partition(":")[0].rpartition("#")[2].strip().lower().removesuffix("exception")


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    message = _read_message(detail)
    common_detail: Json = {"message": message}
    if status == 400 and CONTENT_POLICY_MESSAGE.search(message):
        common_detail["code"] = "content_policy_violation"
    return build_error(status, common_detail, headers)


def _read_message(detail: Json) -> str:
    """Bedrock's message, followed by the model's own if that differs."""
    message = detail.get("message") or detail.get("Message") or ""
    original = detail.get("originalMessage") or ""
    both = [str(text) for text in (message, original) if text and isinstance(text, str)]
    return ": ".join(dict.fromkeys(both))
