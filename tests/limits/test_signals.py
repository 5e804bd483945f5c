"""What limits tell the site: once, at the right level, behind the answers, whatever the receivers
do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.limits.api_client import (
    COST,
    away_from_the_end_of,
    budget,
    call,
    limit,
    one_site,
    units,
    user_with_key,
)
from tests.limits.conftest import native_api, tells_what_was_used
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.settings import INSTALLED_APPS

LIMITS = [
    limit("rate", "requests", 1, "hour"),
    limit("budget", "cost", f"{COST:f}", "month"),
    limit("second", "requests", 0, "second"),
    limit("both", "requests", 0, "day"),
    limit("both", "tokens", 0, "day"),
    limit("site-threshold", "requests", 10, "day"),
    limit("own-threshold", "requests", 10, "day", THRESHOLD=30),
    limit("whole", "requests", 2, "day", THRESHOLD=100),
    limit("cost-threshold", "cost", f"{COST * 10:f}", "lifetime", "everyone", THRESHOLD=50),
    limit("blocked", "requests", 1, "day"),
]


@dataclass
class Listener:
    """A site with receivers, and what they heard."""

    site: Site
    heard_at: Path

    def heard(self, name: str, model: str = "") -> list[dict[str, Any]]:
        """What this signal told, of this model."""
        lines = self.heard_at.read_text().splitlines() if self.heard_at.exists() else []
        return [
            told
            for told in map(json.loads, lines)
            if told["signal"] == name and (not model or f'"{model}"' in json.dumps(told))
        ]

    def wait_for(self, count: int, name: str, model: str = "") -> list[dict[str, Any]]:
        until(lambda: len(self.heard(name, model)) >= count, f"{count} {name} of {model}")
        return self.heard(name, model)


@pytest.fixture(scope="module")
def heard_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heard") / "heard"


@pytest.fixture(scope="module")
def environment(heard_at: Path) -> dict[str, str]:
    apps = [*INSTALLED_APPS, "tests.limits.signal_recorder.Listening"]
    return {"SITE_SETTINGS": json.dumps({"INSTALLED_APPS": apps}), "HEARD": str(heard_at)}


@pytest.fixture(scope="module")
def listener(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    environment: dict[str, str],
    heard_at: Path,
) -> Iterator[Listener]:
    with one_site(
        tmp_path_factory, native_api(upstream, LIMITS, LIMIT_THRESHOLD=70), **environment
    ) as running:
        yield Listener(running, heard_at)


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.otherwise = tells_what_was_used


def calls(listener: Listener, model: str, count: int, key: str = "") -> list[int]:
    """The statuses, once all are recorded."""
    already = len(listener.site.usage(model=model))
    statuses = [call(listener.site, model, key).status_code for _ in range(count)]
    listener.site.wait_for_usage(already + count, model=model)
    listener.wait_for(already + count, "usage_recorded", model)
    return statuses


# --- limit_reached --------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "metric", "window", "amount", "status"), [
    ("up/rate", "requests", "hour", "1", 429),
    ("up/budget", "cost", "month", f"{COST:f}", 402),
])  # fmt: skip
def test_limit_reached_is_sent_once_per_window(
    listener: Listener, model: str, metric: str, window: str, amount: str, status: int
) -> None:
    away_from_the_end_of("hour", 20)
    assert calls(listener, model, 4) == [200, *[status] * 3]
    [told] = listener.heard("limit_reached", model)
    assert (
        told["sender"],
        told["entry"]["user_name"],
        told["entry"]["model"],
        told["entry"]["status"],
    ) == (
        "Limit",
        "alice",
        model,
        "refused",
    )
    said = {
        name: told["limit"][name] for name in ("subject", "metric", "window", "models", "amount")
    }
    assert said == {
        "subject": "each_user",
        "metric": metric,
        "window": window,
        "models": model,
        "amount": amount,
    }
    assert "starts_at" in told["limit"]


def test_limit_reached_is_sent_for_each_user_and_window(listener: Listener) -> None:
    other = user_with_key(listener.site, "bob")
    calls(listener, "up/second", 1)
    time.sleep(1)
    calls(listener, "up/second", 1)
    calls(listener, "up/second", 1, other)
    told = listener.heard("limit_reached", "up/second")
    assert [each["entry"]["user_name"] for each in told] == ["alice", "alice", "bob"]
    assert len({(each["limit"]["counter"], each["limit"]["starts_at"]) for each in told}) == 3


def test_an_admitted_call_sends_no_limit_reached(listener: Listener) -> None:
    assert calls(listener, "up/unlimited", 2) == [200, 200]
    assert listener.heard("limit_reached", "up/unlimited") == []


def test_the_budget_records_when_it_was_reached(listener: Listener) -> None:
    calls(listener, "up/both", 1)
    listener.wait_for(1, "limit_reached", "up/both")
    rows = listener.site.rows("SELECT reached_at FROM native_api_budget WHERE pattern = 'up/both'")
    assert sum(row["reached_at"] is not None for row in rows) == 1


# --- budget_threshold -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "before", "threshold"),
    [
        ("up/site-threshold", 6, 70),
        ("up/own-threshold", 2, 30),
        ("up/whole", 1, 100),
        ("up/cost-threshold", 4, 50),
    ],
)
def test_budget_threshold_is_sent_once_when_usage_reaches_it(
    listener: Listener, model: str, before: int, threshold: int
) -> None:
    calls(listener, model, before)
    assert listener.heard("budget_threshold", model) == []
    calls(listener, model, 1)
    [told] = listener.wait_for(1, "budget_threshold", model)
    used, amount = told["used"], told["amount"]
    assert (told["sender"], told["threshold"], told["budget"]["pattern"], used * 100 // amount) == (
        "Budget",
        threshold,
        model,
        threshold,
    )
    assert used == (units(COST) * (before + 1) if "cost" in model else before + 1)
    calls(listener, model, 2)
    assert listener.heard("budget_threshold", model) == [told]
    [(marked,)] = listener.site.rows(
        "SELECT count(threshold_at) FROM native_api_budget WHERE pattern = ?", model
    )
    assert marked == 1


def test_each_users_budget_has_its_own_threshold(listener: Listener) -> None:
    key = user_with_key(listener.site, "carla")
    already = len(listener.heard("budget_threshold", "up/own-threshold"))
    calls(listener, "up/own-threshold", 3, key)
    assert (
        len(listener.wait_for(already + 1, "budget_threshold", "up/own-threshold")) == already + 1
    )


# --- never in the way -----------------------------------------------------------------------------


def test_the_first_use_of_a_key_is_signalled(listener: Listener) -> None:
    key = user_with_key(listener.site, "first")
    already = len(listener.heard("key_used_first_time"))
    calls(listener, "up/unlimited", 2, key)
    assert len(listener.wait_for(already + 1, "key_used_first_time")) == already + 1


def test_receivers_that_raise_are_logged(listener: Listener) -> None:
    calls(listener, "up/unlimited", 1)
    until(lambda: "a receiver with a bug" in listener.site.log(), "the log")


def test_a_blocking_receiver_delays_no_answer(listener: Listener) -> None:
    """The recorder waits for it, and what it has not written yet is written afterwards."""
    block = Path(f"{listener.heard_at}.block")
    block.touch()
    try:
        started = time.monotonic()
        statuses = [call(listener.site, "up/blocked").status_code for _ in range(20)]
        assert statuses == [200, *[429] * 19]
        assert time.monotonic() - started < 5
    finally:
        block.unlink()
    listener.site.wait_for_usage(20, model="up/blocked")
    assert len(listener.wait_for(1, "limit_reached", "up/blocked")) == 1
    until(lambda: budget(listener.site, "up/blocked") == (1, 0), "the budget")


def test_each_process_sends_limit_reached_but_the_threshold_is_sent_once(
    tmp_path: Path, upstream: Upstream, environment: dict[str, str]
) -> None:
    heard_at = tmp_path / "heard"
    more = {**environment, "HEARD": str(heard_at)}
    settings = native_api(upstream, [limit("budget", "requests", 4, "lifetime", THRESHOLD=50)])
    key = populate(environment_for(tmp_path, {}, **more))
    for number in (1, 2):
        with running_site("uvicorn", tmp_path, tmp_path, key, settings, **more) as site:
            statuses = [call(site, "up/budget").status_code for _ in range(6)]
            assert statuses == ([200] * 4 + [429] * 2 if number == 1 else [429] * 6)
            site.wait_for_usage(6 * number, model="up/budget")
            listener = Listener(site, heard_at)
            told = listener.wait_for(number, "limit_reached")
            assert len({each["process"] for each in told}) == len(told) == number
            assert len(listener.wait_for(1, "budget_threshold")) == 1
