"""Budgets in many threads of several processes at once: at no moment is more used and reserved than
there is, nobody is in a deadlock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.limits.load import AMOUNT, BUDGETS
from tests.servers import ROOT
from tests.usage.conftest import Place, make_place

PROCESSES, CALLS = 3, 60


@pytest.fixture(params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, templates: dict[str, str], tmp_path: Path
) -> Iterator[Place]:
    if request.param not in templates:
        pytest.skip("no PostgreSQL")
    made = make_place(request.param, templates[request.param], tmp_path)
    if made.kind == "postgres":
        made.query("TRUNCATE native_api_budget CASCADE")
    yield made
    made.close()


def start(place: Place, seed: int, calls: int = CALLS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.limits.load", str(seed), str(calls)],
        env=place.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def standings(place: Place) -> dict[str, tuple[int, int]]:
    """What is used and reserved of each budget, all at one moment."""
    return {
        counter: (used, reserved)
        for counter, used, reserved in place.query(
            "SELECT counter, used, reserved FROM native_api_budget"
        )
    }


def overdrawn(place: Place) -> list[tuple[str, int, int]]:
    return [
        (counter, *level)
        for counter, level in standings(place).items()
        if sum(level) > AMOUNT or min(level) < 0
    ]


def watched(place: Place, running: list[subprocess.Popen[str]]) -> int:
    """Look at the budgets without a pause until all have ended; how often."""
    looks = 0
    while any(process.poll() is None for process in running):
        assert overdrawn(place) == []
        looks += 1
    return looks


def test_many_at_once_never_use_more_than_there_is_and_never_wait_for_each_other(
    place: Place,
) -> None:
    running = [start(place, seed) for seed in range(PROCESSES)]
    assert watched(place, running) > 20

    used: Counter[str] = Counter()
    for process in running:
        told, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert "deadlock" not in errors
        used.update(json.loads(told))

    place.query("UPDATE native_api_reservation SET expires_at = '2000-01-01 00:00:00'")
    ending = start(place, seed=99, calls=0)
    told, errors = ending.communicate(timeout=60)
    assert ending.returncode == 0, errors
    assert standings(place) == {counter: (used[counter], 0) for counter in BUDGETS}


def test_what_is_reserved_is_what_the_reservations_say(place: Place) -> None:
    running = [start(place, seed) for seed in range(2)]
    look = (
        "SELECT b.counter, b.reserved, COALESCE((SELECT SUM(r.amount) FROM native_api_reservation r WHERE r.budget_id = b.id), 0) "
        "FROM native_api_budget b"
    )
    while running[0].poll() is None:
        assert [row for row in place.query(look) if row[1] != row[2]] == []
    running[1].kill()
    assert running[0].returncode == 0
    for process in running:
        process.communicate()
    assert [row for row in place.query(look) if row[1] != row[2]] == []


def test_records_of_a_killed_process_are_settled_once_by_the_next(place: Place) -> None:
    making = start(place, seed=1, calls=5)
    making.communicate(timeout=60)
    before = standings(place)
    [(key, counter)] = place.query("SELECT id, counter FROM native_api_budget ORDER BY id LIMIT 1")
    place.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    killed = place.child()
    killed.ask("record", count=250, claims={str(key): 2})
    killed.kill()
    place.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")
    for _ in range(2):
        place.catch_up()
    assert len(place.ids()) >= 250
    assert standings(place)[counter][0] == before[counter][0] + 500
