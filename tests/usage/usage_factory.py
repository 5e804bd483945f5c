"""Usage as dialects report it, and targets of presets."""

from __future__ import annotations

from typing import Any

from native_api.catalog.presets import PRESETS
from native_api.catalog.providers import build_provider
from native_api.types import Target, Usage

OPTIONS = {
    "endpoint": "https://127.0.0.1:9",
    "host": "https://127.0.0.1:9",
    "account_id": "a",
    "api_version": "2024-10-21",
    "region": "us-east-1",
    "project": "p",
    "location": "us-central1",
}

PROMPT_DETAILS = {
    "cached": "cached_tokens",
    "written": "cache_write_tokens",
    "hour": "cache_write_1h_tokens",
    "audio": "audio_tokens",
    "image": "image_tokens",
    "cached_audio": "cached_audio_tokens",
    "cached_image": "cached_image_tokens",
}
COMPLETION_DETAILS = {
    "reasoning": "reasoning_tokens",
    "audio_out": "audio_tokens",
    "image_out": "image_tokens",
}


def make_usage(prompt: int = 0, completion: int = 0, **counts: Any) -> Usage:
    """The usage of a reply.

    `counts` are details of the prompt or the completion, or further members of the usage.
    """
    usage: Any = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for details_name, names in (
        ("prompt_tokens_details", PROMPT_DETAILS),
        ("completion_tokens_details", COMPLETION_DETAILS),
    ):
        details = {names[name]: count for name, count in counts.items() if name in names}
        if details:
            usage[details_name] = details
    usage |= {
        name: value
        for name, value in counts.items()
        if name not in PROMPT_DETAILS and name not in COMPLETION_DETAILS
    }
    typed: Usage = usage
    return typed


def make_target(preset: str, model: str, target_price: Any = None, **definition: Any) -> Target:
    """A target at a provider with this preset."""
    row = PRESETS[preset]
    options = {name: OPTIONS[name] for name in row.options}
    key = "AKIA:secret" if row.auth == "aws" else "sk-test"
    settings = {"PRESET": preset, "OPTIONS": options, "API_KEY": key, **definition}
    if row.auth == "google":
        settings = {**settings, "AUTH": "bearer"}
    return Target(build_provider("p", settings), model, price=target_price)
