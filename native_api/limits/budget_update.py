"""Taking room in one budget, with a row that tells which call holds it, in as few statements as the
database allows.

Calls wait for `take`: PostgreSQL does all of it in one statement, so that there is one trip and no
transaction to open and close; SQLite gets its two written out; any other database what Django makes
of them. Few calls need `add`, which is Django's everywhere.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.models import F, Model, Value

from native_api.models import Budget, Reservation

AT_ONCE: Final = frozenset({"postgresql"})
"""Where `take` is one statement, which needs no transaction around it."""


class Level(NamedTuple):
    """Units of a budget after reserving, or as it stands."""

    used: int
    reserved: int


class Part(NamedTuple):
    """What is asked for: `units` of the budget with this key, whose limit is now `amount`.

    `counter` is the budget's own: in a database that was set back to what it was, keys are given
    anew.
    """

    key: int
    counter: str
    units: int
    amount: int
    threshold: int


def take(part: Part, record_id: UUID, expires_at: datetime, alias: str) -> Level | None:
    """How the budget stands afterwards; None where it has no room, or is not there. In a
    transaction, unless done at once."""
    vendor = connections[alias].vendor
    if vendor == "postgresql":
        return _at_once(part, record_id, expires_at, alias)
    if vendor == "sqlite" and connections[alias].features.can_return_rows_from_bulk_insert:
        return _written_out(part, record_id, expires_at, alias)
    return _by_django(part, record_id, expires_at, alias)


def add(part: Part, record_id: UUID, alias: str) -> Level | None:
    """As `take`, for a call that holds a part of this budget and needs `units` more. In a
    transaction.

    The budget comes first, as wherever both are changed: so nobody waits for each other. Raises
    DatabaseError if the call's reservation has ended, and with it the call.
    """
    level = _add_to_budget(part, alias)
    if level is not None:
        mine = Reservation._base_manager.using(alias).filter(
            record_id=record_id, budget_id=part.key
        )
        if not mine.update(amount=F("amount") + part.units):
            raise DatabaseError("The reservation of this call has ended.")
    return level


def _at_once(part: Part, record_id: UUID, expires_at: datetime, alias: str) -> Level | None:
    update, insert = _statements(alias)
    statement = f"WITH taken AS ({update}), held AS ({insert} FROM taken) SELECT * FROM taken"  # noqa: S608  names of our own models
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, [*_changes(part), *_row(part, record_id, expires_at, alias)])
        found = cursor.fetchone()
    return None if found is None else Level(*found)


def _written_out(part: Part, record_id: UUID, expires_at: datetime, alias: str) -> Level | None:
    update, insert = _statements(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(update, _changes(part))
        found = (
            cursor.fetchall()
        )  # all: a statement that is not at its end stands in the way of the commit
        if found:
            cursor.execute(insert, _row(part, record_id, expires_at, alias))
    return Level(*found[0]) if found else None


@cache
def _statements(alias: str) -> tuple[str, str]:
    """The conditional UPDATE, and the INSERT without the table that its one row comes from."""
    budget, reservation = _names(Budget, alias), _names(Reservation, alias)
    update = (
        "UPDATE {table} SET {reserved} = {reserved} + %s, {amount} = %s, {threshold} = %s "
        "WHERE {id} = %s AND {counter} = %s AND {used} <= %s - {reserved} RETURNING {used}, {reserved}"
    )
    insert = (
        "INSERT INTO {table} ({record_id}, {budget}, {amount}, {expires_at}) SELECT %s, %s, %s, %s"
    )
    return update.format_map(budget), insert.format_map(reservation)


def _names(model: type[Model], alias: str) -> dict[str, str]:
    quote = connections[alias].ops.quote_name
    return {
        "table": quote(model._meta.db_table),
        **{field.name: quote(str(field.column)) for field in model._meta.concrete_fields},
    }


def _changes(part: Part) -> list[Any]:
    return [
        part.units,
        part.amount,
        part.threshold,
        part.key,
        part.counter,
        part.amount - part.units,
    ]


def _row(part: Part, record_id: UUID, expires_at: datetime, alias: str) -> list[Any]:
    values = {
        "record_id": record_id,
        "budget": part.key,
        "amount": part.units,
        "expires_at": expires_at,
    }
    connection = connections[alias]
    fields = {field.name: field for field in Reservation._meta.concrete_fields}
    return [fields[name].get_db_prep_save(value, connection) for name, value in values.items()]


def _by_django(part: Part, record_id: UUID, expires_at: datetime, alias: str) -> Level | None:
    level = _add_to_budget(part, alias)
    if level is not None:
        values = {
            "record_id": record_id,
            "budget_id": part.key,
            "amount": part.units,
            "expires_at": expires_at,
        }
        Reservation._base_manager.using(alias).create(**values)
    return level


def _add_to_budget(part: Part, alias: str) -> Level | None:
    rows = Budget._base_manager.using(alias).filter(pk=part.key, counter=part.counter)
    free = rows.filter(used__lte=Value(part.amount - part.units) - F("reserved"))
    if not free.update(
        reserved=F("reserved") + part.units, amount=part.amount, threshold=part.threshold
    ):
        return None
    return Level(*rows.values_list("used", "reserved").get())
