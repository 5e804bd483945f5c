"""The headers of responses in Anthropic's names."""

from __future__ import annotations


def name_headers(headers: dict[str, str]) -> dict[str, str]:
    """These headers with Anthropic's names."""
    return headers
