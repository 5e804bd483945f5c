"""The kinds of tests, given by rule when they are collected.

A `pure` test computes: it starts no server, process or thread, connects to nothing and uses no
database. A pure test that does fails. `versions` are the tests whose outcome can differ between
versions of Python and Django: all whose module uses Django or that are not pure, without
`SAME_ON_ALL_VERSIONS` and what needs PostgreSQL.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent

PURE_PLACES = (
    "dialects/",
    "inbound/",
    "management/test_model_lists.py",
    "pricing/test_listed_prices.py",
    "pricing/test_price_data.py",
    "pricing/test_tables.py",
    "routing/test_caller_circuits.py",
    "routing/test_concurrency.py",
    "routing/test_half_open.py",
    "routing/test_health.py",
    "routing/test_probes.py",
    "routing/test_route.py",
    "routing/test_strategies.py",
    "types/",
    "test_bounded_cache.py",
    "test_cases.py",
    "test_corpus.py",
    "test_corpus_requests.py",
    "test_corpus_same_wire.py",
    "test_imports.py",
    "test_private_api.py",
    "test_project_files.py",
    "test_recordings.py",
)
"""Directories and files of pure tests; what is not pure there is marked `impure`."""

SAME_ON_ALL_VERSIONS = (
    "access/test_processes.py",
    "clients/",
    "front/test_bedrock.py",
    "front/test_both_ways.py",
    "front/test_chaos.py",
    "front/test_cloud.py",
    "front/test_call_ids.py",
    "front/test_durability.py",
    "front/test_issuers.py",
    "front/test_kept_outages.py",
    "front/test_keys_and_catalog.py",
    "front/test_leaks.py",
    "front/test_owned.py",
    "front/test_provider_errors.py",
    "front/test_replay.py",
    "front/test_request_bodies.py",
    "front/test_responses.py",
    "front/test_routing.py",
    "front/test_routing_between_callers.py",
    "front/test_same_wire.py",
    "front/test_wires.py",
    "limits/test_access.py",
    "limits/test_budget_races.py",
    "limits/test_concurrent_calls.py",
    "limits/test_hanging_servers.py",
    "limits/test_limit_headers.py",
    "limits/test_outages.py",
    "limits/test_settling.py",
    "limits/test_signals.py",
    "limits/test_slots.py",
    "limits/test_spellings.py",
    "routing/",
    "upstream/",
    "usage/test_prune.py",
    "usage/test_reconcile.py",
    "usage/test_recorder.py",
)
"""What lies between Django and the providers, what several processes do to one database, and calls
of real servers for what they count. `.ci/full` runs them on the newest versions too."""

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "live_server"}

EFFECTS = {
    "socket.connect",
    "socket.bind",
    "subprocess.Popen",
    "os.fork",
    "os.posix_spawn",
    "sqlite3.connect",
    "_thread.start_new_thread",
}
"""Audit events of Python that no pure test causes."""

_effects: list[str] | None = None
"""What the running test caused, if it is pure."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        pure = is_pure(item)
        if pure:
            item.add_marker("pure")
        if (not pure or _uses_django(item.path)) and not (
            _is_in(SAME_ON_ALL_VERSIONS, item.path) or needs_postgres(item)
        ):
            item.add_marker("versions")


def is_pure(item: pytest.Item) -> bool:
    return (
        _is_in(PURE_PLACES, item.path)
        and DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        and item.get_closest_marker("django_db") is None
        and item.get_closest_marker("impure") is None
    )


def needs_postgres(item: pytest.Item) -> bool:
    names = (item.name, *getattr(item, "fixturenames", ()))
    return any("postgres" in name.lower() for name in names)


@functools.cache
def _is_in(places: tuple[str, ...], path: Path) -> bool:
    return path.relative_to(TESTS).as_posix().startswith(places)


@functools.cache
def _uses_django(path: Path) -> bool:
    return "django" in path.read_text()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _effects
    _effects = [] if item.get_closest_marker("pure") else None
    try:
        return (yield)
    finally:
        _effects = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    result = yield
    assert not _effects, f"It is marked as pure (tests/kinds.py), but caused {_effects}."
    return result


def note_effect(event: str, arguments: tuple[Any, ...]) -> None:
    if event in EFFECTS and _effects is not None:
        _effects.append(event)


sys.addaudithook(note_effect)
