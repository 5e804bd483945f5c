"""Where a call goes: the provider's base URL, the wire's path, and the model where the vendor wants
it in the address."""

from __future__ import annotations

import re
from typing import Final

from native_api.exceptions import UnsupportedField
from native_api.types import Target

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]*")


def build_url(target: Target, path: str) -> str:
    """`path` below the base URL, before the query that the base URL may have. Raises
    UnsupportedField.

    `https://x.openai.azure.com/openai/deployments/{model}?api-version=2024-10-21` and
    `/chat/completions` give
    `https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21`.
    """
    base, mark, query = target.provider.base_url.partition("?")
    if "{model}" in base:
        base = base.replace("{model}", check_path_segment(target.model))
    return f"{base}{path}{mark}{query}"


def check_path_segment(model: str) -> str:
    """A model's name as one step of a path: it never leaves its place there. Raises
    UnsupportedField."""
    if not MODEL_NAME.fullmatch(model):
        raise UnsupportedField("model", "this provider has no model of such a name")
    return model
