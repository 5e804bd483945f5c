"""Reserving in one budget, together with the row that records which call holds the reservation, in
as few statements as the database allows.

Calls wait for `reserve`. PostgreSQL does it in one statement: one round trip, and no transaction to
open and close. SQLite gets two hand-written statements; any other database uses the ORM. `extend`
is needed rarely and always uses the ORM.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.models import F, Model, Value

from native_api.models import Budget, Reservation

SINGLE_STATEMENT_VENDORS: Final = frozenset({"postgresql"})
"""Databases on which `reserve` is one statement and needs no transaction."""


class BudgetLevel(NamedTuple):
    """Units of a budget: after reserving, or as it is now."""

    used: int
    reserved: int


class BudgetUpdate(NamedTuple):
    """Reserve `units` of the budget with the primary key `key`, whose limit is now `amount`.

    `counter` identifies the budget too: after a restore from backup, primary keys may refer to
    other budgets.
    """

    key: int
    counter: str
    units: int
    amount: int
    threshold: int


def reserve(
    update: BudgetUpdate, record_id: UUID, expires_at: datetime, alias: str
) -> BudgetLevel | None:
    """Return the new level; None if the budget is exhausted or does not exist.

    Needs a transaction, except on `SINGLE_STATEMENT_VENDORS`.
    """
    vendor = connections[alias].vendor
    if vendor == "postgresql":
        return _reserve_in_one_statement(update, record_id, expires_at, alias)
    if vendor == "sqlite" and connections[alias].features.can_return_rows_from_bulk_insert:
        return _reserve_in_two_statements(update, record_id, expires_at, alias)
    return _reserve_with_orm(update, record_id, expires_at, alias)


def extend(update: BudgetUpdate, record_id: UUID, alias: str) -> BudgetLevel | None:
    """Add `units` to what the call has reserved of this budget. Returns the same as `reserve`.

    Needs a transaction. The budget is updated before the reservation, as everywhere, so that
    transactions cannot deadlock. Raises DatabaseError if the call's reservation has ended.
    """
    level = _add_to_budget(update, alias)
    if level is not None:
        reservation = Reservation._base_manager.using(alias).filter(
            record_id=record_id, budget_id=update.key
        )
        if not reservation.update(amount=F("amount") + update.units):
            raise DatabaseError("The reservation of this call has ended.")
    return level


def _reserve_in_one_statement(
    update: BudgetUpdate, record_id: UUID, expires_at: datetime, alias: str
) -> BudgetLevel | None:
    update_sql, insert_sql = _statements(alias)
    statement = (
        f"WITH updated AS ({update_sql}), inserted AS ({insert_sql} FROM updated) "  # noqa: S608  names of our own models
        "SELECT * FROM updated"
    )
    parameters = [
        *_update_parameters(update),
        *_insert_parameters(update, record_id, expires_at, alias),
    ]
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return None if row is None else BudgetLevel(*row)


def _reserve_in_two_statements(
    update: BudgetUpdate, record_id: UUID, expires_at: datetime, alias: str
) -> BudgetLevel | None:
    update_sql, insert_sql = _statements(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(update_sql, _update_parameters(update))
        # fetchall, because a statement that is not finished blocks the commit.
        rows = cursor.fetchall()
        if rows:
            parameters = _insert_parameters(update, record_id, expires_at, alias)
            cursor.execute(insert_sql, parameters)
    return BudgetLevel(*rows[0]) if rows else None


@cache
def _statements(alias: str) -> tuple[str, str]:
    """Return the conditional UPDATE, and the INSERT without the table that its one row is selected
    from."""
    budget, reservation = _quoted_names(Budget, alias), _quoted_names(Reservation, alias)
    update_sql = (
        "UPDATE {table} SET {reserved} = {reserved} + %s, {amount} = %s, {threshold} = %s "
        "WHERE {id} = %s AND {counter} = %s AND {used} <= %s - {reserved} "
        "RETURNING {used}, {reserved}"
    )
    insert_sql = (
        "INSERT INTO {table} ({record_id}, {budget}, {amount}, {expires_at}) SELECT %s, %s, %s, %s"
    )
    return update_sql.format_map(budget), insert_sql.format_map(reservation)


def _quoted_names(model: type[Model], alias: str) -> dict[str, str]:
    quote = connections[alias].ops.quote_name
    return {
        "table": quote(model._meta.db_table),
        **{field.name: quote(str(field.column)) for field in model._meta.concrete_fields},
    }


def _update_parameters(update: BudgetUpdate) -> list[Any]:
    return [
        update.units,
        update.amount,
        update.threshold,
        update.key,
        update.counter,
        update.amount - update.units,
    ]


def _insert_parameters(
    update: BudgetUpdate, record_id: UUID, expires_at: datetime, alias: str
) -> list[Any]:
    values = {
        "record_id": record_id,
        "budget": update.key,
        "amount": update.units,
        "expires_at": expires_at,
    }
    connection = connections[alias]
    fields = {field.name: field for field in Reservation._meta.concrete_fields}
    return [fields[name].get_db_prep_save(value, connection) for name, value in values.items()]


def _reserve_with_orm(
    update: BudgetUpdate, record_id: UUID, expires_at: datetime, alias: str
) -> BudgetLevel | None:
    level = _add_to_budget(update, alias)
    if level is not None:
        Reservation._base_manager.using(alias).create(
            record_id=record_id,
            budget_id=update.key,
            amount=update.units,
            expires_at=expires_at,
        )
    return level


def _add_to_budget(update: BudgetUpdate, alias: str) -> BudgetLevel | None:
    rows = Budget._base_manager.using(alias).filter(pk=update.key, counter=update.counter)
    with_room = rows.filter(used__lte=Value(update.amount - update.units) - F("reserved"))
    if not with_room.update(
        reserved=F("reserved") + update.units, amount=update.amount, threshold=update.threshold
    ):
        return None
    return BudgetLevel(*rows.values_list("used", "reserved").get())
