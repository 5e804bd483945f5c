"""What a client reads if its request asks a provider for something that the provider does not have:
the reason, and what to do. `request_fields` says which fields are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REASONS: Final[Mapping[str, str]] = {
    "n": "this provider gives one answer to a request; send {value} requests, or use a model of "
    "another provider",
}

PLAIN_REASON: Final = (
    "this provider or model takes no such field; leave it out, or use another model"
)


def explain_refusal(name: str, value: Any) -> str:
    """Why the wire or the model does not take a field, and what to do."""
    reason = REASONS.get(name, PLAIN_REASON)
    return reason.format(value=value if isinstance(value, int) else "several")
