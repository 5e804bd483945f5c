"""Writes Amazon's binary event stream, for scripted providers and recordings."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

STRING = 7


def header(name: str, kind: int, value: bytes) -> bytes:
    """One header; `value` as it stands on the wire for its kind."""
    encoded = name.encode()
    return bytes([len(encoded)]) + encoded + bytes([kind]) + value


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with string headers."""
    values = {name: value.encode() for name, value in headers.items()}
    encoded = b"".join(
        header(name, STRING, struct.pack(">H", len(value)) + value)
        for name, value in values.items()
    )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack(">I", crc32(prelude)) + encoded + payload
    return checked + struct.pack(">I", crc32(checked))


def event(name: str, body: Any) -> bytes:
    """One event of a service that speaks JSON."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(body).encode())


def exception(name: str, body: Any) -> bytes:
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, json.dumps(body).encode())


def wrap_event(data: Any) -> dict[str, str]:
    """The payload of a `chunk` with an event of Anthropic's, as InvokeModel sends it."""
    text = json.dumps(data, separators=(",", ":"))
    return {"bytes": base64.b64encode(text.encode()).decode(), "p": "abcdefgh"}
