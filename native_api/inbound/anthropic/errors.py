"""Errors in Anthropic's envelope: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

Its SDK chooses the exception by the status, of which 529 is Anthropic's own, and clients read
`error.type`: https://platform.claude.com/docs/en/api/errors (read 2026-11).
"""

from __future__ import annotations

from typing import Final

from native_api.exceptions import NativeError, NoTargetAvailable, Overloaded, ProviderFault
from native_api.types import Json

OVERLOADED: Final = 529
"""The status of an overloaded provider, which only this API has."""

TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
"""Status -> the type of the error. Others below 500 are the client's to correct."""

TOO_LONG: Final = "prompt is too long"
KNOWN_WORDS: Final = (TOO_LONG, "exceed context limit")
"""Words by which Claude Code knows that it has to compact the conversation, or to ask for a shorter
answer; it looks at nothing else of the error (https://github.com/Menci/Floway/pull/166, read
2026-11). Other providers do not use them."""


def error_envelope(error: NativeError, request_id: str = "") -> Json:
    """The body of every error, and the data of an error event.

    `details.error_code` is our code, and `provider` is there if an upstream caused the error. In a
    stream the id of the request is only in the response's headers.
    """
    details = {"error_code": error.code}
    if error.param:
        details["param"] = error.param
    members: Json = {"type": type_of(error), "message": write_message(error), "details": details}
    if error.provider:
        members["provider"] = error.provider
    envelope: Json = {"type": "error", "error": members}
    if request_id:
        envelope["request_id"] = request_id
    return envelope


def write_message(error: NativeError) -> str:
    """The error's message, after Anthropic's words if a conversation is too long for the model."""
    message = error.message
    if error.code != "context_length_exceeded":
        return message
    is_known = any(words in message.lower() for words in KNOWN_WORDS)
    return message if is_known else f"{TOO_LONG}: {message}"


def status_of(error: NativeError) -> int:
    """The status of an error response: ours, but 529 for a provider that says it is overloaded."""
    is_overloaded = isinstance(error, ProviderFault) and error.upstream_status == OVERLOADED
    return OVERLOADED if is_overloaded else error.status


def type_of(error: NativeError) -> str:
    """The type of an error in Anthropic's words."""
    status = status_of(error)
    if status in TYPES:
        return TYPES[status]
    if isinstance(error, Overloaded | NoTargetAvailable):
        return TYPES[OVERLOADED]
    return "invalid_request_error" if status < 500 else "api_error"
