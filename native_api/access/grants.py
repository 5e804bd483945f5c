"""A short-lived cache of each user's groups and granted models.

While the database is unavailable, cached grants stay in use; a user who is not cached gets a 503.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Q

from native_api.background.cached_value import CachedValues
from native_api.conf import native_settings
from native_api.exceptions import DatabaseUnavailable
from native_api.models import ModelAccess

MAX_CACHED_USERS: Final = 10_000


class UserGrants(NamedTuple):
    """`groups` are pairs of id and name. `granted_models` are patterns; None means every model."""

    groups: tuple[tuple[Any, str], ...] = ()
    granted_models: tuple[str, ...] | None = None


def read_grants(user_id: Any) -> UserGrants:
    """The user's grants from the database. An unknown user is granted nothing."""
    user: Any = get_user_model()._base_manager.filter(pk=user_id).first()
    if user is None:
        return UserGrants((), ())
    groups = tuple(user.groups.values_list("pk", "name")) if hasattr(user, "groups") else ()
    if hasattr(user, "has_perm") and user.has_perm("native_api.use_every_model"):
        return UserGrants(groups, None)
    rows = ModelAccess.objects.filter(Q(user_id=user_id) | Q(group_id__in=[pk for pk, _ in groups]))
    granted = list(rows.values_list("patterns", flat=True))
    lists = granted or [native_settings.DEFAULT_MODEL_ACCESS]
    return UserGrants(groups, tuple(pattern for patterns in lists for pattern in patterns))


def _raise_unavailable() -> UserGrants:
    raise DatabaseUnavailable(
        "The user cannot be looked up right now. Try again shortly.", headers={"retry-after": "5"}
    )


_cache: Final = CachedValues[Any, UserGrants](
    "groups and granted models of users", read_grants, _raise_unavailable, MAX_CACHED_USERS
)
"""By user id."""

user_grants: Final = _cache.aget
"""The user's grants, at most MAX_AGE_SECONDS old. Raises DatabaseUnavailable."""


def invalidate(*args: Any, **kwargs: Any) -> None:
    """Expire all cached grants of this process. Other processes notice within MAX_AGE_SECONDS
    seconds.

    The grants themselves are kept, in case the database is unavailable. Also a signal receiver.
    """
    _cache.expire()
