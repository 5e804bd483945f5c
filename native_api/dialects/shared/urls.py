"""The URL of a call: the base URL, the wire's path, and for some vendors the model."""

from __future__ import annotations

import re
from typing import Final

from native_api.exceptions import UnsupportedField
from native_api.types import Target

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]*")


def build_url(target: Target, path: str) -> str:
    """`path` below the base URL, whose query stays at the end.

    `https://x.openai.azure.com/openai/deployments/{model}?api-version=2024-10-21` and
    `/chat/completions` give
    `https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21`.
    Raises UnsupportedField if the model's name cannot be in a URL.
    """
    base, mark, query = target.provider.base_url.partition("?")
    if "{model}" in base:
        base = base.replace("{model}", check_path_segment(target.model))
    return f"{base}{path}{mark}{query}"


def check_path_segment(model: str) -> str:
    """The model's name. Raises UnsupportedField if it is not one plain segment of a path."""
    if not MODEL_NAME.fullmatch(model):
        raise UnsupportedField("model", "this provider has no model with such a name")
    return model
