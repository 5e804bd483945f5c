"""Writes entries to the database, each exactly once.

Rules:
1. A batch is one transaction. What `hooks` do belongs to it: they are given the entries that it
   inserts, no others.
2. Lines that are read for the first time cannot be in the database; they are inserted without
   asking. Where that is in doubt, or where inserting failed, the ids that are there already are
   left out, and users and keys that are gone become null. Another writer's insert that is committed
   in between shows as an IntegrityError, and the batch is looked at anew.
3. An entry that the database refuses is found by halving the batch, and given back; the others are
   written.
4. Everything else that goes wrong is raised: the database is out of order, and the same batch has
   to be tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models, transaction

from native_api.models import ApiKey, UsageRecord
from native_api.signals import usage_recorded
from native_api.usage import totals
from native_api.usage.entry import UsageEntry

Hook = Callable[[Sequence[UsageEntry], str], None]
"""Is given the entries just inserted and the database's alias, within the transaction.

It must do nothing outside of that: the transaction may fail at its end, and the hook is then called
again.
"""

hooks: Final[list[Hook]] = [totals.add]

REFUSED: Final = (
    DataError,
    IntegrityError,
    ValidationError,
    ValueError,
    TypeError,
    ArithmeticError,
)
"""Errors that are about an entry, not about the database."""

LAST_TRIES: Final = 3
"""For one entry alone, since its user may be deleted while it is written."""


COLUMNS: Final = [name for name in UsageEntry.__slots__ if name not in ("claims", "refused_by")]
"""What of an entry is stored."""


class HookFailed(Exception):
    """A hook raised. Whatever it raised says nothing about the entries."""


Refusal = tuple[UsageEntry, Exception]


def write(entries: Sequence[UsageEntry], alias: str, *, doubtful: bool) -> list[Refusal]:
    """Write all of `entries` and return those that the database refuses. Raises where it is out of
    order."""
    if not doubtful:
        try:
            _insert(entries, alias)
        except REFUSED:
            pass
        else:
            return []
    return _write_in_doubt(entries, alias)


def _write_in_doubt(entries: Sequence[UsageEntry], alias: str) -> list[Refusal]:
    tries = LAST_TRIES if len(entries) == 1 else 1
    refusal: Exception | None = None
    for _ in range(tries):
        try:
            _insert(_mended(entries, alias), alias)
        except REFUSED as error:
            refusal = error
        else:
            return []
    if len(entries) == 1 and refusal is not None:
        return [(entries[0], refusal)]
    middle = len(entries) // 2
    return _write_in_doubt(entries[:middle], alias) + _write_in_doubt(entries[middle:], alias)


def _insert(entries: Sequence[UsageEntry], alias: str) -> None:
    if not entries:
        return
    rows = [_row(entry) for entry in entries]
    with transaction.atomic(using=alias):
        UsageRecord._base_manager.using(alias).bulk_create(rows)
        for hook in hooks:
            _run(hook, entries, alias)
        if usage_recorded.has_listeners(UsageRecord):
            transaction.on_commit(lambda: _tell(entries), using=alias)


def _tell(entries: Sequence[UsageEntry]) -> None:
    """The records are in the database. What receivers raise is logged, and changes nothing."""
    for entry in entries:
        usage_recorded.send_robust(UsageRecord, entry=entry)


def _run(hook: Hook, entries: Sequence[UsageEntry], alias: str) -> None:
    try:
        hook(entries, alias)
    except Exception as error:
        raise HookFailed(
            f"{type(error).__name__} in {getattr(hook, '__qualname__', hook)}"
        ) from error


def _row(entry: UsageEntry) -> UsageRecord:
    values = {name: getattr(entry, name) for name in COLUMNS}
    for name, limit in _limits():
        if len(values[name]) > limit:
            values[name] = values[name][: limit - 1] + "…"
    return UsageRecord(**values)


@cache
def _limits() -> list[tuple[str, int]]:
    """The longest text that each column takes. What a client says can be longer, and must not cost
    the record."""
    return [
        (each.name, each.max_length)
        for each in UsageRecord._meta.concrete_fields
        if isinstance(each, models.CharField) and each.max_length
    ]


def _mended(entries: Sequence[UsageEntry], alias: str) -> list[UsageEntry]:
    """The entries that are not there yet, each once, without users and keys that are gone."""
    there = _present(UsageRecord, (entry.id for entry in entries), alias)
    missing = list({entry.id: entry for entry in entries if str(entry.id) not in there}.values())
    users = _present(get_user_model(), (entry.user_id for entry in missing), alias)
    keys = _present(ApiKey, (entry.api_key_id for entry in missing), alias)
    return [_without_what_is_gone(entry, users, keys) for entry in missing]


def _without_what_is_gone(entry: UsageEntry, users: set[str], keys: set[str]) -> UsageEntry:
    user_id = entry.user_id if str(entry.user_id) in users else None
    api_key_id = entry.api_key_id if str(entry.api_key_id) in keys else None
    return replace(entry, user_id=user_id, api_key_id=api_key_id)


def _present(model: type[models.Model], wanted: Iterable[Any], alias: str) -> set[str]:
    """The primary keys among `wanted` that exist, as text."""
    distinct = {each for each in wanted if each is not None}
    if not distinct:
        return set()
    rows = model._base_manager.using(alias).filter(pk__in=distinct)
    return {str(key) for key in rows.values_list("pk", flat=True)}
