"""Whether a model of the Responses API reasons, and so can encrypt its reasoning."""

from __future__ import annotations

from typing import Final

from native_api.types.model_rules import ModelRule

ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
"""The value of `include` with which reasoning comes back encrypted."""


def may_reason(rule: ModelRule, effort: str | None, has_reasoned: bool) -> bool:
    """Whether the model reasons: by its name, or because the request or its earlier turns say so.

    Other models answer 400, "Encrypted content is not supported with this model".
    """
    if rule.reasoning and not rule.reasoning_field:
        return rule.reasoning != "never"
    return effort not in (None, "none") or has_reasoned
