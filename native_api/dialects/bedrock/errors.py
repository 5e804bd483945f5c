"""Bedrock's errors: an exception's type in a header or the body, and `{"message"}`; in streams the
type is the event's.

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

STATUSES: Final = {
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
"""What an exception means as an HTTP status. AWS sends some, which the client cannot mend, with
400."""

TOO_LONG: Final = re.compile(
    r"too many input tokens|input tokens exceeded|exceeds? (the )?(maximum|context) (context |input |prompt )?(length|limit)"
    r"|exceed context limit|expected maxlength|maximum prompt length|input is too long|too large for model",
    re.IGNORECASE,
)
POLICY: Final = re.compile(
    r"content filter(s|ing)|responsible ai policy|blocked by (our|the) (content|safety)",
    re.IGNORECASE,
)


def is_exception(name: str) -> bool:
    """Whether a stream's event is a failure. Names end so in the service's model; those not in it
    are made to."""
    return name.endswith(("Exception", "Error"))


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a non-2xx answer means; `body` may be anything."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = {}
    told = parsed if isinstance(parsed, dict) else {}
    kind = _kind(headers.get("x-amzn-errortype") or _type_in(told))
    error = _build_error(STATUSES.get(kind, status), told, headers)
    error.upstream_status = status
    return error


def read_reply_error(name: str, body: Any) -> UpstreamError:
    """The failure that an event of a stream, or a body in place of an answer, tells."""
    told = body if isinstance(body, dict) else {}
    return _build_error(STATUSES.get(_kind(name or _type_in(told)), 0), told, {})


def _type_in(told: Json) -> str:
    inner = told.get("Output")
    return str(
        told.get("__type")
        or told.get("code")
        or (inner.get("__type") if isinstance(inner, dict) else "")
        or ""
    )


def _kind(name: str) -> str:
    """`throttling` for `ThrottlingException:http://…`, `com.amazon#ThrottlingException` and
    `throttlingException`."""
    return name.partition(":")[0].rpartition("#")[2].strip().lower().removesuffix("exception")


def _build_error(status: int, told: Json, headers: Mapping[str, str]) -> UpstreamError:
    words = _words(told)
    detail: Json = {"message": words}
    if status in (0, 400, 413, 424) and TOO_LONG.search(words):
        detail["code"] = "context_length_exceeded"
    elif status == 400 and POLICY.search(words):
        detail["code"] = "content_policy_violation"
    return build_error(status, detail, headers)


def _words(told: Json) -> str:
    """The message, and the model's own beside it where the two differ."""
    words = told.get("message") or told.get("Message") or ""
    original = told.get("originalMessage") or ""
    both = [str(text) for text in (words, original) if text and isinstance(text, str)]
    return ": ".join(dict.fromkeys(both))
