"""What the site says of a user: the groups, and the models that rows and permissions grant. Read
again after a few seconds.

While the database is away, what was known goes on; a user of whom nothing is known is told to come
again.
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
from native_api.background.cached_value import MAX_AGE, PATIENCE
from native_api.conf import native_settings
from native_api.exceptions import DatabaseUnavailable
from native_api.models import ModelAccess

MAX_ENTRIES: Final = 10_000
RETRY: Final = 1.0
"""Seconds for which what is known serves again, where the database is away."""

_threads: Final = background.Threads("native-api-standing", 4)


class UserGrants(NamedTuple):
    """`groups` are pairs of id and name. `granted_models` are patterns; None means every model."""

    groups: tuple[tuple[Any, str], ...] = ()
    granted_models: tuple[str, ...] | None = None


_known: OrderedDict[Any, tuple[UserGrants, float]] = OrderedDict()
_changes = 0


async def user_grants(user_id: Any) -> UserGrants:
    """Raises DatabaseUnavailable."""
    known = _known.get(user_id)
    if known is not None and time.monotonic() < known[1]:
        return known[0]
    try:
        read_at, changes = time.monotonic(), _changes
        standing = await _threads.run(PATIENCE, read, user_id)
    except (DatabaseError, background.HangingCall):
        if known is None:
            raise DatabaseUnavailable(
                "The user cannot be looked up right now. Try again shortly.",
                headers={"retry-after": "5"},
            ) from None
        standing, read_at = known[0], time.monotonic() - MAX_AGE + RETRY
    else:
        if changes != _changes:  # it was read too early, perhaps
            read_at = float("-inf")
    _keep(user_id, standing, read_at + MAX_AGE)
    return standing


def _keep(user_id: Any, standing: UserGrants, until: float) -> None:
    _known[user_id] = (standing, until)
    _known.move_to_end(user_id)
    while len(_known) > MAX_ENTRIES:
        _known.popitem(last=False)


def read(user_id: Any) -> UserGrants:
    """What holds now. Queries the database."""
    user: Any = get_user_model()._base_manager.filter(pk=user_id).first()
    if user is None:
        return UserGrants((), ())
    groups = tuple(user.groups.values_list("pk", "name")) if hasattr(user, "groups") else ()
    if hasattr(user, "has_perm") and user.has_perm("native_api.use_every_model"):
        return UserGrants(groups, None)
    rows = ModelAccess.objects.filter(Q(user_id=user_id) | Q(group_id__in=[pk for pk, _ in groups]))
    granted = list(rows.values_list("patterns", flat=True))
    patterns = granted or [native_settings.DEFAULT_MODEL_ACCESS]
    return UserGrants(groups, tuple(pattern for each in patterns for pattern in each))


def forget(*args: Any, **kwargs: Any) -> None:
    """Have every user read anew, here at once and in other processes soon."""
    global _changes
    _changes += 1
    for user_id, (standing, _) in list(_known.items()):
        _known[user_id] = (standing, float("-inf"))


for _sender in (ModelAccess, get_user_model()):
    post_save.connect(forget, sender=_sender)
    post_delete.connect(forget, sender=_sender)
if hasattr(get_user_model(), "groups"):
    m2m_changed.connect(forget, sender=get_user_model().groups.through)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
