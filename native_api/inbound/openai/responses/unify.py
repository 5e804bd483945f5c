"""The unified request for a request in the words of Responses."""

from __future__ import annotations

from typing import Any

from native_api.types import Json


def unify(body: Json, omitted: list[str]) -> Any:
    """The unified request. Adds to `omitted` what it leaves out. Raises InvalidRequest."""
    raise NotImplementedError
