"""Django's test environment, where the gateway works with the database of a test and leaves nothing
behind. Outside of it, nothing here does anything.

Rules:
1. What a test writes in a transaction (`TestCase`, pytest-django's `db`) is invisible to other
   connections, and a database in memory is locked for them while the test writes. In both cases the
   gateway's threads use the test's own connection, as Django's `LiveServerTestCase` does.
2. Otherwise (`TransactionTestCase`) they use their own, and close it after each call: one that is
   open prevents the test database from being dropped.
3. A call of the database is over when `submit` returns, so that nothing runs on into the next test.
   Calls take turns, since transactions of several threads would end each other's savepoints.
4. What was learned in one test is forgotten in the next one.

Django makes a new `mail.outbox` for each test, by which tests are told apart. An outbox alone does
not say that there are tests: in production, the email backend `locmem` makes one for its first
mail.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any, Final, ParamSpec, TypeVar
from weakref import ReferenceType, ref

from django.core import mail
from django.db import DatabaseError, connections

from native_api import bounded_cache

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseForbidden(DatabaseError):
    """The test may not use the database, as a `SimpleTestCase`."""


_mail: Final = vars(mail)
_is_honoured = True


def ignore(is_ignored: bool = True) -> None:
    """For tests of the gateway as it runs in production."""
    global _is_honoured
    _is_honoured = not is_ignored


def is_active() -> bool:
    return _is_honoured and is_set_up()


def is_set_up() -> bool:
    """Whether `setup_test_environment` was called, as test runners do."""
    utils = sys.modules.get("django.test.utils")
    if utils is None or "outbox" not in _mail:
        return False
    # Django 5.2 to 6.1 keep here what the test environment has replaced.
    state = getattr(utils, "_TestState", None)
    return state is None or hasattr(state, "saved_data")


def current_test() -> object | None:
    """The test that runs, to be compared by identity; None outside of tests."""
    return _mail.get("outbox") if is_active() else None


# --- between tests -------------------------------------------------------------------------------

_test_without_database: object | None = None
"""The last test that was refused the database."""

_forget_functions: Final[list[Callable[[], Any]]] = [bounded_cache.clear_all]
_left_over: Final[deque[Callable[[], Any]]] = deque()
_last_test: object | None = None


def forget_between_tests(function: Callable[[], Any]) -> None:
    """Call `function` before the first call of each test."""
    _forget_functions.append(function)


def call_in_next_test(function: Callable[[], Any]) -> None:
    """Call `function` once, before the first call of the next test."""
    _left_over.append(function)


def _begin_test() -> None:
    global _last_test
    test = current_test()
    if test is not _last_test:
        _last_test = test
        while _left_over:
            _left_over.popleft()()
        forget()


def forget() -> None:
    """Forget what the process has learned from earlier calls."""
    for function in _forget_functions:
        function()


# --- the test's connections ----------------------------------------------------------------------

_connections: Final[dict[str, ReferenceType[Any]]] = {}
"""Those of the main thread, in which tests run, by alias."""

_turn: Final = threading.RLock()
_local: Final = threading.local()


def note_connection(connection: Any, **kwargs: Any) -> None:
    """A receiver of Django's signal that a connection has been made."""
    if is_set_up() and threading.current_thread() is threading.main_thread():
        _connections[connection.alias] = ref(connection)


def _needed_connections() -> dict[str, Any]:
    """The test's connections that other threads need now, by alias."""
    noted = {alias: reference() for alias, reference in list(_connections.items())}
    return {
        alias: connection
        for alias, connection in noted.items()
        if connection is not None and (connection.in_atomic_block or _is_in_memory(connection))
    }


def _is_in_memory(connection: Any) -> bool:
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())


@contextmanager
def _in_place(lent: dict[str, Any]) -> Iterator[None]:
    """Put these in the place of this thread's own connections."""
    own = {each.alias: each for each in connections.all(initialized_only=True)}
    for alias, connection in lent.items():
        connection.inc_thread_sharing()
        connections[alias] = connection
    try:
        yield
    finally:
        for alias, connection in lent.items():
            connection.dec_thread_sharing()
            if alias in own:
                connections[alias] = own[alias]
            else:
                del connections[alias]


@contextmanager
def keep_connections() -> Iterator[None]:
    """While a response closes: at its end Django closes connections that are not in autocommit
    mode, that of a test's transaction too. Its test client prevents that only for responses that
    are read to their end (Django 5.2 to 6.1)."""
    method = "close_if_unusable_or_obsolete"
    kept = [
        each
        for each in (connections.all(initialized_only=True) if is_active() else ())
        if each.in_atomic_block and method not in vars(each)
    ]
    for each in kept:
        vars(each)[method] = _keep
    try:
        yield
    finally:
        for each in kept:
            del vars(each)[method]


def _keep() -> None:
    pass


# --- calls ---------------------------------------------------------------------------------------


def make_at_once(call: Future[T], function: Callable[[], T]) -> None:
    """Set the call's outcome before returning. Blocks an event loop, which Django's ORM does not
    allow to query."""
    if getattr(_local, "has_turn", False):  # a finalizer, or a receiver of a signal
        _set_outcome(call, function)
        return
    thread = threading.Thread(target=_set_outcome, args=(call, function), name="native-api-test")
    thread.start()
    thread.join()


def _set_outcome(call: Future[T], function: Callable[[], T]) -> None:
    if not call.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:
        call.set_exception(error)
    else:
        call.set_result(result)


def call_in_turn(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of the gateway's own, which waits for no other call."""
    lent = _needed_connections()
    with _turn if lent else nullcontext():
        had_turn, _local.has_turn = getattr(_local, "has_turn", False), bool(lent)
        try:
            return _call(lent, function, *args, **kwargs)
        finally:
            _local.has_turn = had_turn
            _close_own_connections()


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may wait for calls, such as a site's hook. In the main thread, its
    connections are the test's."""
    if threading.current_thread() is threading.main_thread():
        return _call({}, function, *args, **kwargs)
    try:
        return _call(_needed_connections(), function, *args, **kwargs)
    finally:
        _close_own_connections()


def _call(lent: dict[str, Any], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    _begin_test()
    with _in_place(lent):
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if _is_forbidden(error):
                _note_forbidden()
                raise DatabaseForbidden(f"This test may not use the database. {error}") from error
            raise


def is_database_forbidden() -> bool:
    """Whether the test that runs was refused the database."""
    return is_active() and _test_without_database is current_test()


def _note_forbidden() -> None:
    global _test_without_database
    _test_without_database = current_test()


def _close_own_connections() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _is_forbidden(error: Exception) -> bool:
    from django.test.testcases import DatabaseOperationForbidden  # type: ignore[attr-defined]

    return isinstance(error, DatabaseOperationForbidden) or (
        isinstance(error, RuntimeError) and str(error).startswith("Database access not allowed")
    )
