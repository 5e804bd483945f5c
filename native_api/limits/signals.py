"""What limits tell the site, behind the answers: a hook of the recorder's that settles budgets and
sends `limit_reached`.

A limit is told to be reached once a window by each process, however many calls it refuses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from native_api import signals
from native_api.limits import budgets
from native_api.models import Limit
from native_api.usage.entry import UsageEntry

MOST_REMEMBERED: Final = 10_000

_told: OrderedDict[tuple[str, datetime], None] = OrderedDict()


def hook(entries: Sequence[UsageEntry], alias: str) -> None:
    """In the transaction that writes these records."""
    budgets.settle(entries, alias)
    refused = [entry for entry in entries if entry.refused_by is not None]
    if refused:
        transaction.on_commit(
            lambda: _tell(refused, alias), using=alias, robust=True
        )  # no partial: Django's log asks for its name


def _tell(refused: Sequence[UsageEntry], alias: str) -> None:
    for entry in refused:
        limit = entry.refused_by
        name = _name_of(limit)
        if limit is None or name is None or name in _told:
            continue
        _told[name] = None
        if len(_told) > MOST_REMEMBERED:
            _told.popitem(last=False)
        signals.limit_reached.send_robust(sender=Limit, limit=limit, entry=entry)
        budgets.reach(*name, alias)


def _name_of(limit: Any) -> tuple[str, datetime] | None:
    """The limit's counter and the beginning of its window; None where no version of this gateway
    describes a limit so."""
    try:
        return str(limit["counter"]), _aware(datetime.fromisoformat(limit["starts_at"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
