"""When each API key was last used: told at most once a minute per key, written by the recorder behind the requests."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from native_api.models import ApiKey

INTERVAL: Final = 60.0
MAX_REMEMBERED: Final = 50_000
"""Keys. When there are more, all are forgotten: one update too many costs less than the memory."""


class KeyTouches:
    def __init__(self) -> None:
        self._next: dict[int, float] = {}
        self._waiting: dict[int, datetime] = {}

    def touch(self, key_id: int) -> bool:
        """Note the use of a key; True where there is now something to write. Any thread may call it."""
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
            stale = Q(last_used_at=None) | Q(last_used_at__lt=moment - timedelta(seconds=INTERVAL))
            ApiKey._base_manager.using(alias).filter(stale, pk=key_id).update(last_used_at=moment)
            if self._waiting.get(key_id) == moment:
                del self._waiting[key_id]
