"""Anthropic's APIs, as clients speak them."""

from native_api.inbound.anthropic.messages.messages import MessagesFormat

__all__ = ["MessagesFormat"]
