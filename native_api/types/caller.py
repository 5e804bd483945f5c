"""The caller of a request: a user, an API key, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. The names are stored in records, which outlive the user and the key.

    `allowed_models` are the key's patterns; empty means all. `granted_models` are those of the user
    and the user's groups; None means all. `groups` are pairs of id and name. The last two are only
    filled in if the site's rules depend on them, by `access.model_access`.
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
        """Names the same caller whichever key is used; "" for anonymous callers and for Python code
        that names no user."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return "" if self.key_id is None else f"key {self.key_id}"
