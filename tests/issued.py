"""Messages as a provider's replies contain them: with the marks of its issuer."""

from __future__ import annotations

from typing import Any


def mark_chat(chat: Any, issuer: str, own_format: str | None = None) -> Any:
    """The request with the marks of one issuer on all that the model's messages contain."""
    messages = [
        mark_message(message, issuer, own_format) if message["role"] == "assistant" else message
        for message in chat["messages"]
    ]
    return {**chat, "messages": messages}


def mark_message(
    message: dict[str, Any], issuer: str, own_format: str | None = None
) -> dict[str, Any]:
    """The message with the issuer on all that a provider signs, or on the items of one format."""
    marked = dict(message)
    for name in ("reasoning_details", "provider_content"):
        if message.get(name):
            marked[name] = [
                {**item, "issued_by": issuer} if own_format in (None, item.get("format")) else item
                for item in message[name]
            ]
    for name in ("tool_calls", "images"):
        if message.get(name):
            marked[name] = [_mark_extra(item, issuer) for item in message[name]]
    return marked


def _mark_extra(item: dict[str, Any], issuer: str) -> dict[str, Any]:
    if "extra_content" not in item:
        return item
    extra = {
        vendor: {**members, "issued_by": issuer}
        for vendor, members in item["extra_content"].items()
    }
    return {**item, "extra_content": extra}
