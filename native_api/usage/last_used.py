"""When each API key was last used: told at most once a minute per key, written by the recorder
behind the requests."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from native_api.models import ApiKey
from native_api.signals import key_used_first_time

INTERVAL: Final = 60.0
MAX_REMEMBERED: Final = 50_000
"""Keys. When there are more, all are forgotten: one update too many costs less than the memory."""


class KeyTouches:
    def __init__(self) -> None:
        self._next: dict[int, float] = {}
        self._waiting: dict[int, datetime] = {}

    def touch(self, key_id: int) -> bool:
        """Note the use of a key; True where there is now something to write. Any thread may call
        it."""
        now = time.monotonic()
        if now < self._next.get(key_id, 0.0):
            return False
        if len(self._next) >= MAX_REMEMBERED:
            self._next.clear()
        self._next[key_id] = now + INTERVAL
        self._waiting[key_id] = timezone.now()
        return True

    def write(self, alias: str) -> None:
        """Write what is noted; it stays noted where the database fails."""
        for key_id, moment in list(self._waiting.items()):
            first = _write_one(key_id, moment, alias)
            if self._waiting.get(key_id) == moment:
                del self._waiting[key_id]
            if first:
                key_used_first_time.send_robust(ApiKey, key_id=key_id, at=moment)


def _write_one(key_id: int, moment: datetime, alias: str) -> bool:
    """True where it was the first use of all, which the database tells to one process alone."""
    key = ApiKey._base_manager.using(alias).filter(pk=key_id)
    if key_used_first_time.has_listeners(ApiKey) and key.filter(last_used_at=None).update(
        last_used_at=moment
    ):
        return True
    stale = Q(last_used_at=None) | Q(last_used_at__lt=moment - timedelta(seconds=INTERVAL))
    key.filter(stale).update(last_used_at=moment)
    return False
