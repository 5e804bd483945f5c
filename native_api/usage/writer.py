"""Writes entries to the database, each exactly once.

Rules:
1. A batch is one transaction. The changes of `insert_hooks` belong to it: hooks get exactly the
   entries that it inserts.
2. Lines that are read for the first time cannot be in the database, so they are inserted without a
   query. If that is in doubt, or inserting failed, ids that exist are left out, and users and keys
   that no longer exist become null. If another writer's insert is committed in between, the result
   is an IntegrityError, and the batch is examined again.
3. If the database rejects an entry, it is found by halving the batch and returned; the others are
   written.
4. Every other error is raised: the database is not available, and the same batch must be written
   again later.
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

InsertHook = Callable[[Sequence[UsageEntry], str], None]
"""Called with the entries just inserted and the database's alias, inside the transaction.

It must have no other effect: the transaction may fail at its end, and the hook is then called
again.
"""

insert_hooks: Final[list[InsertHook]] = [totals.add]

ENTRY_ERRORS: Final = (
    DataError,
    IntegrityError,
    ValidationError,
    ValueError,
    TypeError,
    ArithmeticError,
)
"""Errors that an entry causes, not the state of the database."""

MAX_TRIES_OF_ONE_ENTRY: Final = 3
"""More than one, because its user may be deleted while it is written."""


COLUMNS: Final = [name for name in UsageEntry.__slots__ if name not in ("claims", "refused_by")]
"""The fields of an entry that are stored."""


class HookFailed(Exception):
    """A hook raised an error, which says nothing about the entries."""


RejectedEntry = tuple[UsageEntry, Exception]


def write(
    entries: Sequence[UsageEntry], alias: str, *, may_be_written: bool
) -> list[RejectedEntry]:
    """Write all of `entries` and return those that the database rejects.

    `may_be_written` says that some of them may be in the database already. Raises if the database
    is not available.
    """
    if not may_be_written:
        try:
            _insert(entries, alias)
        except ENTRY_ERRORS:
            pass
        else:
            return []
    return _write_missing(entries, alias)


def _write_missing(entries: Sequence[UsageEntry], alias: str) -> list[RejectedEntry]:
    tries = MAX_TRIES_OF_ONE_ENTRY if len(entries) == 1 else 1
    last_error: Exception | None = None
    for _ in range(tries):
        try:
            _insert(_insertable(entries, alias), alias)
        except ENTRY_ERRORS as error:
            last_error = error
        else:
            return []
    if len(entries) == 1 and last_error is not None:
        return [(entries[0], last_error)]
    middle = len(entries) // 2
    return _write_missing(entries[:middle], alias) + _write_missing(entries[middle:], alias)


def _insert(entries: Sequence[UsageEntry], alias: str) -> None:
    if not entries:
        return
    rows = [_to_row(entry) for entry in entries]
    with transaction.atomic(using=alias):
        UsageRecord._base_manager.using(alias).bulk_create(rows)
        for hook in insert_hooks:
            _run_hook(hook, entries, alias)
        if usage_recorded.has_listeners(UsageRecord):
            transaction.on_commit(lambda: _send_recorded(entries), using=alias)


def _send_recorded(entries: Sequence[UsageEntry]) -> None:
    """Errors of receivers are logged and have no effect: the records are in the database."""
    for entry in entries:
        usage_recorded.send_robust(UsageRecord, entry=entry)


def _run_hook(hook: InsertHook, entries: Sequence[UsageEntry], alias: str) -> None:
    try:
        hook(entries, alias)
    except Exception as error:
        raise HookFailed(
            f"{type(error).__name__} in {getattr(hook, '__qualname__', hook)}"
        ) from error


def _to_row(entry: UsageEntry) -> UsageRecord:
    values = {name: getattr(entry, name) for name in COLUMNS}
    for name, max_length in _max_lengths():
        if len(values[name]) > max_length:
            values[name] = values[name][: max_length - 1] + "…"
    return UsageRecord(**values)


@cache
def _max_lengths() -> list[tuple[str, int]]:
    """The maximum length of each text column.

    Clients may send longer texts, and the record must not be lost for that.
    """
    return [
        (each.name, each.max_length)
        for each in UsageRecord._meta.concrete_fields
        if isinstance(each, models.CharField) and each.max_length
    ]


def _insertable(entries: Sequence[UsageEntry], alias: str) -> list[UsageEntry]:
    """The entries that are not stored yet, each once, without deleted users and keys."""
    stored = _existing(UsageRecord, (entry.id for entry in entries), alias)
    missing = list({entry.id: entry for entry in entries if str(entry.id) not in stored}.values())
    users = _existing(get_user_model(), (entry.user_id for entry in missing), alias)
    keys = _existing(ApiKey, (entry.api_key_id for entry in missing), alias)
    return [_without_deleted(entry, users, keys) for entry in missing]


def _without_deleted(entry: UsageEntry, users: set[str], keys: set[str]) -> UsageEntry:
    user_id = entry.user_id if str(entry.user_id) in users else None
    api_key_id = entry.api_key_id if str(entry.api_key_id) in keys else None
    return replace(entry, user_id=user_id, api_key_id=api_key_id)


def _existing(model: type[models.Model], keys: Iterable[Any], alias: str) -> set[str]:
    """Those of the primary keys that exist, as text."""
    distinct = {key for key in keys if key is not None}
    if not distinct:
        return set()
    rows = model._base_manager.using(alias).filter(pk__in=distinct)
    return {str(key) for key in rows.values_list("pk", flat=True)}
