"""Looking up prices: what is remembered, and how a process loads the published prices."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from native_api.pricing import lookup, tables
from tests.servers import ROOT
from tests.usage.usage_factory import make_target, make_usage


def test_without_a_target_or_usage_there_is_no_cost() -> None:
    assert lookup.cost_and_price(make_target("openai", "gpt-4o"), None) == (None, None)
    assert lookup.cost_and_price(None, make_usage(1, 1)) == (None, None)


def test_a_cost_too_large_for_the_database_is_unknown() -> None:
    cost, _price = lookup.cost_and_price(
        make_target("openai", "m", tables.parse({"INPUT": 1_000_000, "OUTPUT": 1_000_000})),
        make_usage(2**52, 0),
    )
    assert cost is None


def test_a_price_is_looked_up_once() -> None:
    lookup.load()
    target = make_target("openrouter", "no/such-model")
    assert lookup.price_of(target) is None
    edition = lookup._published.edition
    try:
        lookup._published.edition = None
        assert lookup.price_of(target) is None
        assert lookup._published.edition is None, "the second lookup did not need the list"
    finally:
        lookup._published.edition = edition


def test_the_number_of_remembered_prices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MAX_REMEMBERED_TABLES", 3)
    lookup.forget_prices()
    for number in range(20):
        assert lookup.price_of(make_target("openai", f"m-{number}")) is None
    assert len(lookup._published.remembered) <= 3


# --- loading in a process ------------------------------------------------------------------------


def test_threads_that_need_prices_at_once_load_them_once() -> None:
    lookup._published.edition = None
    with ThreadPoolExecutor(16) as threads:
        editions = list(threads.map(lambda _: lookup._published.load(), range(64)))
    assert len({id(edition) for edition in editions}) == 1


FORK_WHILE_LOCKED = """
import os, threading, django
django.setup()
from native_api.pricing import lookup
holding, done = threading.Event(), threading.Event()
def hold():
    with lookup._published.lock:
        holding.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
holding.wait()
child = os.fork()
if child == 0:
    lookup.load()
    os._exit(7)
done.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_while_prices_are_loaded_can_load_them() -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", FORK_WHILE_LOCKED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "7\n", done.stderr
