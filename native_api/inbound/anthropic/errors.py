"""Errors in Anthropic's envelope."""

from __future__ import annotations

from native_api.exceptions import NativeError
from native_api.types import Json


def error_envelope(error: NativeError, request_id: str) -> Json:
    """The body of every error."""
    raise NotImplementedError


def status_of(error: NativeError) -> int:
    """The status of an error response."""
    return error.status
