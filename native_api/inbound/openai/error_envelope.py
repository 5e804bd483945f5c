"""Errors in OpenAI's envelope, as a response's body and as an event of a stream."""

from __future__ import annotations

import orjson

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


def error_event(error: NativeError) -> bytes:
    return b"data: " + orjson.dumps(error_envelope(error)) + b"\n\n"
