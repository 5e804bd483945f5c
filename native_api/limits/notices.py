"""What limits tell the site, behind the answers: a hook of the recorder's that settles budgets and sends `limit_reached`.

A limit is told to be reached once a window by each process, however many calls it refuses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.db import transaction

from native_api import signals
from native_api.limits import budgets
from native_api.models import Limit
from native_api.usage.entry import UsageEntry

MOST_REMEMBERED: Final = 10_000

_told: OrderedDict[tuple[str, str], None] = OrderedDict()


def hook(entries: Sequence[UsageEntry], alias: str) -> None:
    """In the transaction that writes these records."""
    budgets.settle(entries, alias)
    refused = [entry for entry in entries if entry.refused_by is not None]
    if refused:
        transaction.on_commit(partial(_tell, refused, alias), using=alias, robust=True)


def _tell(refused: Sequence[UsageEntry], alias: str) -> None:
    for entry in refused:
        limit: dict[str, Any] = entry.refused_by or {}
        name = str(limit.get("counter")), str(limit.get("starts_at"))
        if name in _told:
            continue
        _told[name] = None
        if len(_told) > MOST_REMEMBERED:
            _told.popitem(last=False)
        budgets.reach(*name, alias)
        signals.limit_reached.send_robust(sender=Limit, limit=limit, entry=entry)
