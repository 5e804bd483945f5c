"""Which models a key may use."""

from __future__ import annotations

import pytest

from native_api.permissions import may_use
from native_api.types import Caller


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        ((), "anything", True),
        (("gpt-4o*",), "gpt-4o-mini", True),
        (("gpt-4o*",), "GPT-4o", False),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("openai/*", "fast"), "openai/gpt-4o", True),
        (("openai/*", "fast"), "eu/fast", False),
    ],
)
def test_a_model_is_allowed_by_a_pattern_or_by_there_being_none(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    assert may_use(Caller(allowed_models=patterns), model) is allowed
