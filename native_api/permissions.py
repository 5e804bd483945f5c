"""What a caller may use. Patterns are those of `fnmatch`: `gpt-4o*`, `openai/*`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from native_api.types import Caller


def may_use(caller: Caller, model: str) -> bool:
    """Whether the caller's key allows this model. No patterns allow all."""
    return not caller.allowed_models or any(fnmatchcase(model, pattern) for pattern in caller.allowed_models)
