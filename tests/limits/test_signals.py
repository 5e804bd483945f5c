"""The signals of limits: sent once, at the right level and after the answers, whatever receivers
do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.limits.api_client import (
    COST,
    avoid_end_of_hour,
    budget,
    call,
    limit,
    single_site,
    units,
    user_with_key,
)
from tests.limits.conftest import answer_with_usage, native_api
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.settings import INSTALLED_APPS
from tests.waiting import wait_for_next_window

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
class Recorder:
    """A site with receivers, and what they recorded."""

    site: Site
    recorded_at: Path

    def notices(self, name: str, model: str = "") -> list[dict[str, Any]]:
        """What was recorded of this signal, for this model."""
        lines = self.recorded_at.read_text().splitlines() if self.recorded_at.exists() else []
        return [
            notice
            for notice in map(json.loads, lines)
            if notice["signal"] == name and (not model or f'"{model}"' in json.dumps(notice))
        ]

    def wait_for(self, count: int, name: str, model: str = "") -> list[dict[str, Any]]:
        until(lambda: len(self.notices(name, model)) >= count, f"{count} {name} of {model}")
        return self.notices(name, model)


@pytest.fixture(scope="module")
def recorded_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heard") / "heard"


@pytest.fixture(scope="module")
def environment(recorded_at: Path) -> dict[str, str]:
    apps = [*INSTALLED_APPS, "tests.limits.signal_recorder.SignalRecorder"]
    return {"SITE_SETTINGS": json.dumps({"INSTALLED_APPS": apps}), "HEARD": str(recorded_at)}


@pytest.fixture(scope="module")
def recorder(
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    environment: dict[str, str],
    recorded_at: Path,
) -> Iterator[Recorder]:
    with single_site(
        tmp_path_factory, native_api(upstream, LIMITS, LIMIT_THRESHOLD=70), **environment
    ) as running:
        yield Recorder(running, recorded_at)


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.default_script = answer_with_usage


def calls(recorder: Recorder, model: str, count: int, key: str = "") -> list[int]:
    """Call, wait for the records, and return the statuses."""
    already = len(recorder.site.usage(model=model))
    statuses = [call(recorder.site, model, key).status_code for _ in range(count)]
    recorder.site.wait_for_usage(already + count, model=model)
    recorder.wait_for(already + count, "usage_recorded", model)
    return statuses


# --- limit_reached -------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "metric", "window", "amount", "status"), [
    ("up/rate", "requests", "hour", "1", 429),
    ("up/budget", "cost", "month", f"{COST:f}", 402),
])  # fmt: skip
def test_limit_reached_is_sent_once_per_window(
    recorder: Recorder, model: str, metric: str, window: str, amount: str, status: int
) -> None:
    avoid_end_of_hour()
    assert calls(recorder, model, 4) == [200, *[status] * 3]
    [notice] = recorder.notices("limit_reached", model)
    assert (
        notice["sender"],
        notice["entry"]["user_name"],
        notice["entry"]["model"],
        notice["entry"]["status"],
    ) == (
        "Limit",
        "alice",
        model,
        "refused",
    )
    description = {
        name: notice["limit"][name] for name in ("subject", "metric", "window", "models", "amount")
    }
    assert description == {
        "subject": "each_user",
        "metric": metric,
        "window": window,
        "models": model,
        "amount": amount,
    }
    assert "starts_at" in notice["limit"]


def test_limit_reached_is_sent_for_each_user_and_window(recorder: Recorder) -> None:
    other = user_with_key(recorder.site, "bob")
    calls(recorder, "up/second", 1)
    wait_for_next_window(1)
    calls(recorder, "up/second", 1)
    calls(recorder, "up/second", 1, other)
    notice = recorder.notices("limit_reached", "up/second")
    assert [each["entry"]["user_name"] for each in notice] == ["alice", "alice", "bob"]
    assert len({(each["limit"]["counter"], each["limit"]["starts_at"]) for each in notice}) == 3


def test_an_admitted_call_sends_no_limit_reached(recorder: Recorder) -> None:
    assert calls(recorder, "up/unlimited", 2) == [200, 200]
    assert recorder.notices("limit_reached", "up/unlimited") == []


def test_the_budget_records_when_it_was_reached(recorder: Recorder) -> None:
    calls(recorder, "up/both", 1)
    recorder.wait_for(1, "limit_reached", "up/both")
    rows = recorder.site.rows("SELECT reached_at FROM native_api_budget WHERE pattern = 'up/both'")
    assert sum(row["reached_at"] is not None for row in rows) == 1


# --- budget_threshold ----------------------------------------------------------------------------


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
    recorder: Recorder, model: str, before: int, threshold: int
) -> None:
    calls(recorder, model, before)
    assert recorder.notices("budget_threshold", model) == []
    calls(recorder, model, 1)
    [notice] = recorder.wait_for(1, "budget_threshold", model)
    used, amount = notice["used"], notice["amount"]
    assert (
        notice["sender"],
        notice["threshold"],
        notice["budget"]["pattern"],
        used * 100 // amount,
    ) == (
        "Budget",
        threshold,
        model,
        threshold,
    )
    assert used == (units(COST) * (before + 1) if "cost" in model else before + 1)
    calls(recorder, model, 2)
    assert recorder.notices("budget_threshold", model) == [notice]
    [(marked,)] = recorder.site.rows(
        "SELECT count(threshold_at) FROM native_api_budget WHERE pattern = ?", model
    )
    assert marked == 1


def test_each_users_budget_has_its_own_threshold(recorder: Recorder) -> None:
    key = user_with_key(recorder.site, "carla")
    already = len(recorder.notices("budget_threshold", "up/own-threshold"))
    calls(recorder, "up/own-threshold", 3, key)
    assert (
        len(recorder.wait_for(already + 1, "budget_threshold", "up/own-threshold")) == already + 1
    )


# --- receivers -----------------------------------------------------------------------------------


def test_the_first_use_of_a_key_is_signalled(recorder: Recorder) -> None:
    key = user_with_key(recorder.site, "first")
    already = len(recorder.notices("key_used_first_time"))
    calls(recorder, "up/unlimited", 2, key)
    assert len(recorder.wait_for(already + 1, "key_used_first_time")) == already + 1


def test_receivers_that_raise_are_logged(recorder: Recorder) -> None:
    calls(recorder, "up/unlimited", 1)
    until(lambda: "a receiver with a bug" in recorder.site.log(), "the log")


def test_a_blocking_receiver_delays_no_answer(recorder: Recorder) -> None:
    """The recorder waits for it, and writes the remaining records afterwards."""
    block = Path(f"{recorder.recorded_at}.block")
    block.touch()
    try:
        statuses = [call(recorder.site, "up/blocked").status_code for _ in range(20)]
        assert statuses == [200, *[429] * 19]
    finally:
        block.unlink()
    recorder.site.wait_for_usage(20, model="up/blocked")
    assert len(recorder.wait_for(1, "limit_reached", "up/blocked")) == 1
    until(lambda: budget(recorder.site, "up/blocked") == (1, 0), "the budget")


def test_each_process_sends_limit_reached_but_the_threshold_is_sent_once(
    tmp_path: Path, upstream: Upstream, environment: dict[str, str]
) -> None:
    recorded_at = tmp_path / "heard"
    more = {**environment, "HEARD": str(recorded_at)}
    settings = native_api(upstream, [limit("budget", "requests", 4, "lifetime", THRESHOLD=50)])
    key = populate(environment_for(tmp_path, {}, **more))
    for number in (1, 2):
        with running_site("uvicorn", tmp_path, tmp_path, key, settings, **more) as site:
            statuses = [call(site, "up/budget").status_code for _ in range(6)]
            assert statuses == ([200] * 4 + [429] * 2 if number == 1 else [429] * 6)
            site.wait_for_usage(6 * number, model="up/budget")
            recorder = Recorder(site, recorded_at)
            notice = recorder.wait_for(number, "limit_reached")
            assert len({each["process"] for each in notice}) == len(notice) == number
            assert len(recorder.wait_for(1, "budget_threshold")) == 1
