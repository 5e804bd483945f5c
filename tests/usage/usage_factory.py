"""Usage as dialects tell it, and targets of presets, for the tests of prices."""

from __future__ import annotations

from typing import Any

from native_api.catalog.catalog import provider_of
from native_api.catalog.presets import PRESETS
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

OF_PROMPT = {
    "cached": "cached_tokens",
    "written": "cache_write_tokens",
    "hour": "cache_write_1h_tokens",
    "audio": "audio_tokens",
    "image": "image_tokens",
    "cached_audio": "cached_audio_tokens",
    "cached_image": "cached_image_tokens",
}
OF_COMPLETION = {
    "reasoning": "reasoning_tokens",
    "audio_out": "audio_tokens",
    "image_out": "image_tokens",
}


def make_usage(prompt: int = 0, completion: int = 0, **more: Any) -> Usage:
    """The counts in which a reply is told; what is neither of prompt nor of completion stands
    beside them."""
    usage: Any = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for details_name, names in (
        ("prompt_tokens_details", OF_PROMPT),
        ("completion_tokens_details", OF_COMPLETION),
    ):
        details = {names[name]: count for name, count in more.items() if name in names}
        if details:
            usage[details_name] = details
    usage |= {
        name: value
        for name, value in more.items()
        if name not in OF_PROMPT and name not in OF_COMPLETION
    }
    told: Usage = usage
    return told


def make_target(preset: str, model: str, target_price: Any = None, **definition: Any) -> Target:
    """A target at a provider of this preset."""
    row = PRESETS[preset]
    options = {name: OPTIONS[name] for name in row.options}
    key = "AKIA:secret" if row.auth == "aws" else "sk-test"
    told = {"PRESET": preset, "OPTIONS": options, "API_KEY": key, **definition}
    if row.auth == "google":
        told = {**told, "AUTH": "bearer"}
    return Target(provider_of("p", told), model, price=target_price)
