"""A short-lived cache of each user's groups and granted models.

While the database is unavailable, cached grants stay in use; a user who is not cached gets a 503.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_delete, post_save

from native_api import background
from native_api.background.cached_value import DATABASE_TIMEOUT_SECONDS, MAX_AGE_SECONDS
from native_api.conf import native_settings
from native_api.exceptions import DatabaseUnavailable
from native_api.models import ModelAccess

MAX_CACHED_USERS: Final = 10_000

RETRY_SECONDS: Final = 1.0
"""How long cached grants are used again before the next query, while the database is
unavailable."""

_threads: Final = background.WorkerThreads("native-api-grants", 4)


class UserGrants(NamedTuple):
    """`groups` are pairs of id and name. `granted_models` are patterns; None means every model."""

    groups: tuple[tuple[Any, str], ...] = ()
    granted_models: tuple[str, ...] | None = None


_cache: OrderedDict[Any, tuple[UserGrants, float]] = OrderedDict()
"""User id -> grants, and the monotonic time at which they expire. The least recently read first."""

_changes = 0
"""How often grants were invalidated: a query that was under way meanwhile may be outdated."""


async def user_grants(user_id: Any) -> UserGrants:
    """The user's grants, at most MAX_AGE_SECONDS old. Raises DatabaseUnavailable."""
    cached = _cache.get(user_id)
    if cached is not None and time.monotonic() < cached[1]:
        return cached[0]
    read_at, changes = time.monotonic(), _changes
    try:
        grants = await _threads.run(DATABASE_TIMEOUT_SECONDS, read_grants, user_id)
    except (DatabaseError, background.CallTimeout):
        if cached is None:
            raise DatabaseUnavailable(
                "The user cannot be looked up right now. Try again shortly.",
                headers={"retry-after": "5"},
            ) from None
        grants, expires_at = cached[0], time.monotonic() + RETRY_SECONDS
    else:
        expires_at = read_at + MAX_AGE_SECONDS if changes == _changes else float("-inf")
    _store(user_id, grants, expires_at)
    return grants


def _store(user_id: Any, grants: UserGrants, expires_at: float) -> None:
    _cache[user_id] = (grants, expires_at)
    _cache.move_to_end(user_id)
    while len(_cache) > MAX_CACHED_USERS:
        _cache.popitem(last=False)


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


def invalidate(*args: Any, **kwargs: Any) -> None:
    """Expire all cached grants of this process. Other processes notice within MAX_AGE_SECONDS
    seconds.

    The grants themselves are kept, in case the database is unavailable. Also a signal receiver.
    """
    global _changes
    _changes += 1
    for user_id, (grants, _) in list(_cache.items()):
        _cache[user_id] = (grants, float("-inf"))


for _sender in (ModelAccess, get_user_model()):
    post_save.connect(invalidate, sender=_sender)
    post_delete.connect(invalidate, sender=_sender)
if hasattr(get_user_model(), "groups"):
    m2m_changed.connect(invalidate, sender=get_user_model().groups.through)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=invalidate)
