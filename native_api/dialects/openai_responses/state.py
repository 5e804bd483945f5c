"""What a provider of the Responses API would have to store, in words for whoever asks for it."""

from __future__ import annotations

from typing import Final

STATE_WAY_ROUND: Final = (
    "this site does not keep responses (RESPONSES): send the whole conversation as `input`, with "
    "`store: false` and `include: ['reasoning.encrypted_content']` (AI SDK: "
    "providerOptions.openai.store = false)"
)
"""Why a request that refers to earlier responses or their items is refused, and what to do."""
