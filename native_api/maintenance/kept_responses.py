"""Deletes kept responses of a certain age, in small steps."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from native_api.models import KeptResponse
from native_api.usage.reconcile import Pause, no_pause

BATCH: Final = 100
"""Rows in one transaction. Each may have a thousand item ids."""


def prune(before: datetime, alias: str, pause: Pause = no_pause, *, dry_run: bool = False) -> int:
    """Delete the responses from before this moment; with `dry_run`, only count them. Returns their
    number."""
    old = KeptResponse._base_manager.using(alias).filter(created_at__lt=before).order_by("pk")
    if dry_run:
        return old.count()
    deleted = 0
    while keys := list(old.values_list("pk", flat=True)[:BATCH]):
        old.filter(pk__in=keys).only("pk").delete()
        deleted += len(keys)
        pause()
    return deleted
