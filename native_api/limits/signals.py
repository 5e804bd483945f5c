"""What the site is notified of, after the answers: a hook of the recorder that settles budgets and
sends `limit_reached`.

`limit_reached` is sent once per window by each process, no matter how many calls the limit refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from native_api import signals
from native_api.bounded_cache import BoundedCache
from native_api.limits import settlement
from native_api.models import Limit
from native_api.usage.entry import UsageEntry

MAX_REMEMBERED_WINDOWS: Final = 10_000

_reached: Final = BoundedCache[tuple[str, datetime], None](MAX_REMEMBERED_WINDOWS)
"""The windows for which `limit_reached` was sent, by counter and start."""


def settle_and_notify(entries: Sequence[UsageEntry], alias: str) -> None:
    """Called in the transaction that writes these records."""
    settlement.settle(entries, alias)
    refused = [entry for entry in entries if entry.refused_by is not None]
    if refused:
        # A lambda, because Django's log asks for the function's name, which a partial has not.
        transaction.on_commit(lambda: _send_limit_reached(refused, alias), using=alias, robust=True)


def _send_limit_reached(refused: Sequence[UsageEntry], alias: str) -> None:
    for entry in refused:
        limit = entry.refused_by
        window = _window_of(limit)
        if limit is None or window is None or window in _reached:
            continue
        _reached[window] = None
        signals.limit_reached.send_robust(sender=Limit, limit=limit, entry=entry)
        settlement.mark_reached(*window, alias)


def _window_of(limit: Any) -> tuple[str, datetime] | None:
    """Return the limit's counter and the start of its window; None if the description is not one
    of ours."""
    try:
        return str(limit["counter"]), _to_utc(datetime.fromisoformat(limit["starts_at"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _to_utc(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
