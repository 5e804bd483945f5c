"""Database connections of a test, lent to the gateway's threads.

The gateway queries the database in threads of its own, and each thread has its own connection.
`TestCase` and pytest-django's `db` keep what a test writes in a transaction that other connections
do not see; and a second connection to a database in memory is locked out while the test writes. So
in these two cases the gateway's threads use the test's connection, as Django's
`LiveServerTestCase` does. A test that commits (`TransactionTestCase`) needs none of that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connections
from django.test.testcases import DatabaseOperationForbidden  # type: ignore[attr-defined]

P = ParamSpec("P")
T = TypeVar("T")


class LentConnections:
    """The connections of the thread that makes this object, usable in other threads until `close`.

    `lend` and `lend_exclusively` wrap a function that will run in another thread.
    """

    def __init__(self) -> None:
        self._connections: dict[str, Any] = {alias: connections[alias] for alias in connections}
        self._lock = threading.Lock()
        for connection in self._connections.values():
            connection.inc_thread_sharing()

    def close(self) -> None:
        """Wait for the function that uses the connections, and end the sharing."""
        with self._lock:
            for connection in self._connections.values():
                connection.dec_thread_sharing()

    def lend(self, function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._in_place(self._needed()):
                return function(*args, **kwargs)

        run.is_lent_to = True  # type: ignore[attr-defined]
        return run

    def lend_exclusively(self, function: Callable[P, T]) -> Callable[P, T]:
        """`lend`, for functions that never wait for one another: they take turns, since
        transactions of several threads would end each other's savepoints. One that is lent to
        already stays as it is."""
        if hasattr(function, "is_lent_to"):
            return function

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            needed = self._needed()
            with self._lock if needed else nullcontext(), self._in_place(needed):
                return function(*args, **kwargs)

        return run

    def _needed(self) -> dict[str, Any]:
        """Those that other threads need now, by alias."""
        return {
            alias: connection
            for alias, connection in self._connections.items()
            if connection.in_atomic_block
            or (connection.vendor == "sqlite" and connection.is_in_memory_db())
        }

    def close_old_connections(self) -> None:
        """Django's function of this name, for the thread's own connections: it would close one that
        is in a transaction."""
        for connection in connections.all(initialized_only=True):
            if connection not in self._connections.values():
                connection.close_if_unusable_or_obsolete()

    @staticmethod
    @contextmanager
    def _in_place(lent: dict[str, Any]) -> Iterator[None]:
        """Put these in the place of this thread's own connections."""
        own = {each.alias: each for each in connections.all(initialized_only=True)}
        for alias, connection in lent.items():
            connections[alias] = connection
        try:
            yield
        finally:
            for alias in lent:
                if alias in own:
                    connections[alias] = own[alias]
                else:
                    del connections[alias]


def is_forbidden(error: Exception) -> bool:
    """Whether a query failed because the test may not use the database: in a `SimpleTestCase`, or
    without the mark `django_db`."""
    return isinstance(error, DatabaseOperationForbidden) or (
        isinstance(error, RuntimeError) and str(error).startswith("Database access not allowed")
    )


def unless_forbidden(read: Callable[..., T]) -> Callable[..., T]:
    """`read`, which raises OperationalError if the test may not use the database: the test has none
    then, and the gateway uses the settings alone."""

    def read_or_raise(*args: Any) -> T:
        try:
            return read(*args)
        except Exception as error:
            if is_forbidden(error):
                raise OperationalError(f"This test may not use the database. {error}") from error
            raise

    return read_or_raise
