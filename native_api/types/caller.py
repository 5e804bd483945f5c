"""The caller of a request: a user, an API key, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Names are kept for records that outlive the user or key.

    `allowed_models` are the key's patterns; empty means all. `granted_models` are those of the user
    and the user's groups; None means all. `groups` are pairs of id and name. The last two are
    filled in by `permissions.resolved`, as far as they matter.
    """

    user_id: int | str | None = None
    user_name: str = ""
    key_id: int | None = None
    key_name: str = ""
    allowed_models: tuple[str, ...] = ()
    granted_models: tuple[str, ...] | None = None
    groups: tuple[tuple[Any, str], ...] = ()

    @property
    def identity(self) -> str:
        """One party, whichever of its keys it uses; "" for anonymous callers and Python code that
        names nobody."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return "" if self.key_id is None else f"key {self.key_id}"
