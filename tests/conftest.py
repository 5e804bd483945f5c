"""What holds for every test: the gateway works as in production, nothing but loopback can be
reached, a busy machine fails no property test, and no client reads the certificates of the world.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCacheClient
from django.db import connection
from hypothesis import HealthCheck, settings

from native_api.background import test_environment
from tests import fork_server
from tests.kinds import (  # noqa: F401  hooks
    pytest_collection_modifyitems,
    pytest_runtest_call,
    pytest_runtest_protocol,
)

settings.register_profile("native_api", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("native_api")

# Clients of the tests speak plain HTTP, but each would read all certificates: 30 ms, a thousand times.
ssl.create_default_context = functools.cache(ssl.create_default_context)


def pytest_configure() -> None:
    test_environment.ignore()
    fork_server.imported[:] = fork_server.LIBRARIES


@pytest.fixture(scope="session", autouse=True)
def _quick_clean_up() -> None:
    """Empty PostgreSQL's tables after a test by DELETE, since TRUNCATE waits for the disk, and drop
    the database although threads of tests have left connections behind."""
    if connection.vendor != "postgresql":
        return

    def delete_rows(style: Any, tables: list[str], **options: Any) -> list[str]:
        return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]

    def drop_database(name: str, verbosity: int) -> None:
        with connection.creation._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)} WITH (FORCE)")

    connection.ops.sql_flush = delete_rows  # type: ignore[method-assign]
    connection.creation._destroy_test_db = drop_database  # type: ignore[method-assign]


def refuse_to_flush(cache: RedisCacheClient) -> None:
    raise AssertionError("Other tests keep things in this Redis: delete the keys of your prefix.")


RedisCacheClient.clear = refuse_to_flush  # type: ignore[method-assign]


class NotLoopback(AssertionError):
    """A test tried to leave the machine."""


def refuse_other_addresses(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook, so that it holds for every library, and in worker threads."""
    if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        host = arguments[1][0]
        if host != "localhost" and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            raise NotLoopback(
                f"A test tried to connect to {host}. Tests reach nothing but loopback."
            )


sys.addaudithook(refuse_other_addresses)


@pytest.fixture(autouse=True)
def no_outage() -> Iterator[None]:
    """A resource that failed in one test is asked again in the next, and what is still under way
    tells the next test nothing."""
    yield
    if executors := sys.modules.get("native_api.background.executors"):
        for executor in (executors.database, executors.cache):
            if executor._pool.pending_calls():
                executor.reset()
            else:
                executor.forget_outage()
