"""When each API key was last used, written by the recorder's thread at most once a minute a key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from native_api.bounded_cache import BoundedCache
from native_api.models import ApiKey
from native_api.signals import key_used_first_time

WRITE_INTERVAL_SECONDS: Final = 60.0
MAX_REMEMBERED_KEYS: Final = 50_000
"""With more keys, some are written more often: that costs less than the memory."""


class KeyUseTimes:
    """The uses of keys in this process that are still to be written."""

    def __init__(self) -> None:
        self._written = BoundedCache[int, None](MAX_REMEMBERED_KEYS, seconds=WRITE_INTERVAL_SECONDS)
        self._pending: dict[int, datetime] = {}

    def note_use(self, key_id: int) -> bool:
        """Note the use of a key; True if there is now something to write. Thread-safe."""
        if key_id in self._written:
            return False
        self._written[key_id] = None
        self._pending[key_id] = timezone.now()
        return True

    def write(self, alias: str) -> None:
        """Write the noted uses. If the database fails, they stay noted."""
        for key_id, moment in list(self._pending.items()):
            is_first_use = _write_use(key_id, moment, alias)
            if self._pending.get(key_id) == moment:
                del self._pending[key_id]
            if is_first_use:
                key_used_first_time.send_robust(ApiKey, key_id=key_id, at=moment)


def _write_use(key_id: int, moment: datetime, alias: str) -> bool:
    """Whether it was the key's first use ever. The database says so to one process only."""
    key = ApiKey._base_manager.using(alias).filter(pk=key_id)
    if key_used_first_time.has_listeners(ApiKey) and key.filter(last_used_at=None).update(
        last_used_at=moment
    ):
        return True
    earliest = moment - timedelta(seconds=WRITE_INTERVAL_SECONDS)
    key.filter(Q(last_used_at=None) | Q(last_used_at__lt=earliest)).update(last_used_at=moment)
    return False
