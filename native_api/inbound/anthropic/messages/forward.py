"""A provider's message as it goes on to the client."""

from __future__ import annotations

from native_api.inbound.base import ParsedRequest
from native_api.types import Json


def seal_message(parsed: ParsedRequest, body: Json) -> Json:
    """A copy of the message with its signatures sealed."""
    raise NotImplementedError
