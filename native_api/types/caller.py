"""The caller of a request: a user, an API key, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. The names are stored in records, which outlive the user and the key.

    `granted_models` and `groups` are filled in by `access.model_access`, and only if the site's
    rules depend on them.
    """

    user_id: int | str | None = None
    """The primary key of the user; None without one."""
    user_name: str = ""
    """As records and the admin show the user."""
    key_id: int | None = None
    """The primary key of the `ApiKey`; None without one."""
    key_name: str = ""
    """As records and the admin show the key."""
    allowed_models: tuple[str, ...] = ()
    """The key's patterns of models; empty means all."""
    granted_models: tuple[str, ...] | None = None
    """The patterns of the user and the user's groups; None means all."""
    groups: tuple[tuple[Any, str], ...] = ()
    """Pairs of a group's id and name."""

    @property
    def identity(self) -> str:
        """Names the same caller whichever key is used; "" for anonymous callers and for Python code
        that names no user."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return "" if self.key_id is None else f"key {self.key_id}"
