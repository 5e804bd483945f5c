"""Database connections of worker threads, looked after as Django does around each request.

Expected: a connection is kept between calls and works. What happens: the server drops it while it
is idle (a restart, a time limit), and the next query fails. Then the call is made once more, with a
new connection. So a function that runs in the database executor must be safe to repeat; others run
in `foreign`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from native_api.background import test_environment

T = TypeVar("T")

CONNECTION_ERRORS: Final = (OperationalError, InterfaceError)

_used_aliases: Final[set[str]] = set()
"""The databases that calls have used, which a probe asks."""


def call_with_kept_connections(function: Callable[..., T], *args: Any) -> T:
    """The call, with the connections that are open. They stay open, whatever CONN_MAX_AGE is."""
    kept = _open_connections()
    for connection in kept:
        # Django would check a kept connection first, which costs each call a round trip.
        connection.health_check_done = True
    _forget_lost_connections()
    try:
        return function(*args)
    except CONNECTION_ERRORS:
        _close_broken()
        if not any(map(_is_lost, kept)):
            raise
        _close_unusable(kept)
        return function(*args)
    finally:
        _close_broken()
        _used_aliases.update(each.alias for each in connections.all(initialized_only=True))


def call_in_own_thread(function: Callable[..., T], *args: Any) -> T:
    """The call in a thread of the site, with the connections that it has. In a transaction it is
    made only once."""
    if test_environment.is_active():
        return test_environment.call(function, *args)
    kept = [each for each in _open_connections() if not _is_in_transaction(each)]
    _forget_lost_connections()
    try:
        return function(*args)
    except CONNECTION_ERRORS:
        for connection in kept:
            connection.close_if_unusable_or_obsolete()
        if not any(map(_is_lost, kept)):
            raise
        _close_unusable(kept)
        return function(*args)


def call_as_request(function: Callable[..., T], *args: Any) -> T:
    if test_environment.is_active():
        return test_environment.call(function, *args)
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def is_connection_error(error: BaseException) -> bool:
    """Whether a call of this thread failed because a database does not answer. A lock, a deadlock
    or a full disk has the same exceptions, but the connection still works."""
    return isinstance(error, CONNECTION_ERRORS) and any(
        map(_is_lost, connections.all(initialized_only=True))
    )


def probe() -> None:
    """Raise an exception if a database does not answer."""
    try:
        for alias in list(_used_aliases):
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
    finally:
        connections.close_all()


def close_connections() -> None:
    """Close those of this thread. One that is open would block whoever wants to move or drop the
    database."""
    connections.close_all()


def _open_connections() -> list[Any]:
    return [each for each in connections.all(initialized_only=True) if each.connection is not None]


def _is_in_transaction(connection: Any) -> bool:
    """Also one that code without `atomic` has begun."""
    return connection.in_atomic_block or not connection.get_autocommit()


def _is_lost(connection: Any) -> bool:
    """Whether it was closed because of an error, or could not be opened. Others are closed because
    they are idle or old, or have never been open."""
    return connection.connection is None and connection.errors_occurred


def _forget_lost_connections() -> None:
    """Those of earlier calls say nothing about the next one, which may not use them."""
    for connection in connections.all(initialized_only=True):
        if connection.connection is None:
            connection.errors_occurred = False


def _close_unusable(kept: list[Any]) -> None:
    """The server that dropped one connection may have dropped others."""
    for connection in kept:
        if connection.connection is not None and not connection.is_usable():
            connection.close()


def _close_broken() -> None:
    for connection in _open_connections():
        connection.close_at = None
        connection.close_if_unusable_or_obsolete()
