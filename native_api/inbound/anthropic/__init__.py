"""Anthropic's APIs, as clients speak them."""

from native_api.inbound.anthropic.messages.count_tokens import CountTokensFormat
from native_api.inbound.anthropic.messages.messages import MessagesFormat

__all__ = ["CountTokensFormat", "MessagesFormat"]
