"""Errors in OpenAI's envelope."""

from __future__ import annotations

from native_api.exceptions import NativeError
from native_api.types import Json


def error_envelope(error: NativeError) -> Json:
    """The body of every error: `{"error": {"message", "type", "code", "param", "provider"?}}`."""
    envelope: Json = {
        "message": error.message,
        "type": error.type,
        "code": error.code,
        "param": error.param,
    }
    if error.provider:
        envelope["provider"] = error.provider
    return {"error": envelope}
