"""Finish reasons of answers that broke off: these are errors, even if a server reports success.

Then another target can be tried, or the stream ends with an error. Sources: OpenRouter
(https://github.com/earendil-works/pi/issues/8511, 2026-08: `finish_reason` is `stop`, and
`native_finish_reason` is `network_error`), Kilo's list of what its gateway received
(https://github.com/Kilo-Org/cloud/pull/3071, 2026-05), Mistral (`error`), Z.ai (`network_error`),
DeepSeek (`insufficient_system_resource`), vLLM and SGLang (`abort`), Gemini's compatible endpoint
(`function_call_filter: MALFORMED_FUNCTION_CALL`).
"""

from __future__ import annotations

from typing import Any, Final

from native_api.exceptions import UpstreamError

FAILURE_REASONS: Final = frozenset(
    {
        "error", "failed", "failure", "network_error", "server_error", "internal_error",
        "upstream_error", "provider_error", "model_error", "engine_overloaded", "overloaded",
        "insufficient_system_resource", "abort", "aborted", "cancelled", "canceled",
        "malformed_function_call", "malformed_response", "malformed_tool_use",
        "malformed_model_output", "too_many_tool_calls", "missing_thought_signature",
    }
)  # fmt: skip
"""In lower case."""


def is_failure(reason: Any) -> bool:
    """Whether a finish reason means that there is no whole answer."""
    return isinstance(reason, str) and reason.lower().rpartition(": ")[2] in FAILURE_REASONS


def raise_failure(*reasons: Any) -> None:
    """Raise UpstreamError if one of the reasons that a reply gives for its end is a failure."""
    for reason in reasons:
        if is_failure(reason):
            raise UpstreamError(f"The provider's answer broke off: {reason}.")
