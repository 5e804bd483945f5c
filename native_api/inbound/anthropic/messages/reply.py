"""A complete unified reply as Anthropic's message."""

from __future__ import annotations

from native_api.inbound.base import ParsedRequest
from native_api.types import ChatCompletion, Json


def build_message(parsed: ParsedRequest, completion: ChatCompletion) -> Json:
    """The message of a unified reply."""
    raise NotImplementedError
