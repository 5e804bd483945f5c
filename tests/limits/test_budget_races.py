"""Budgets used by many threads of several processes: they are never exceeded, and nobody
deadlocks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fork_server import ForkedProcess, start_python
from tests.limits.load import AMOUNT, BUDGETS
from tests.load import LOAD
from tests.usage.conftest import DATABASES, Deployment, make_deployment

PROCESSES, CALLS = 3, 20 * LOAD


@pytest.fixture(params=DATABASES)
def deployment(
    request: pytest.FixtureRequest, templates: dict[str, str], tmp_path: Path
) -> Iterator[Deployment]:
    made = make_deployment(request.param, templates[request.param], tmp_path)
    if made.kind == "postgres":
        made.query("TRUNCATE native_api_budget CASCADE")
    yield made
    made.close()


def start_load(deployment: Deployment, seed: int, calls: int = CALLS) -> ForkedProcess:
    with errors_of(deployment, seed).open("w") as errors:
        return start_python(
            ["-m", "tests.limits.load", str(seed), str(calls)],
            deployment.environment,
            has_pipes=True,
            errors=errors,
        )


def errors_of(deployment: Deployment, seed: int) -> Path:
    return deployment.directory / f"load-{seed}.log"


def budget_states(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """Used and reserved units of each budget, read at one moment."""
    return {
        counter: (used, reserved)
        for counter, used, reserved in deployment.query(
            "SELECT counter, used, reserved FROM native_api_budget"
        )
    }


def overdrawn(deployment: Deployment) -> list[tuple[str, int, int]]:
    return [
        (counter, *level)
        for counter, level in budget_states(deployment).items()
        if sum(level) > AMOUNT or min(level) < 0
    ]


def watch(deployment: Deployment, running: list[ForkedProcess]) -> int:
    """Check the budgets continuously until all processes have ended; return how often."""
    checks = 0
    while any(process.poll() is None for process in running):
        assert overdrawn(deployment) == []
        checks += 1
    return checks


def test_concurrent_calls_never_exceed_budgets_nor_deadlock(
    deployment: Deployment,
) -> None:
    running = [start_load(deployment, seed) for seed in range(PROCESSES)]
    assert watch(deployment, running) > 20

    used: Counter[str] = Counter()
    for seed, process in enumerate(running):
        output, errors = process.finish(), errors_of(deployment, seed).read_text()
        assert process.returncode == 0, errors
        assert "deadlock" not in errors
        used.update(json.loads(output))

    deployment.query("UPDATE native_api_reservation SET expires_at = '2000-01-01 00:00:00'")
    ending = start_load(deployment, seed=99, calls=0)
    ending.finish()
    assert ending.returncode == 0, errors_of(deployment, 99).read_text()
    assert budget_states(deployment) == {counter: (used[counter], 0) for counter in BUDGETS}


def test_reserved_units_equal_the_sum_of_reservations(deployment: Deployment) -> None:
    running = [start_load(deployment, seed) for seed in range(2)]
    query = (
        "SELECT b.counter, b.reserved, COALESCE((SELECT SUM(r.amount) "
        "FROM native_api_reservation r WHERE r.budget_id = b.id), 0) FROM native_api_budget b"
    )
    while running[0].poll() is None:
        assert [row for row in deployment.query(query) if row[1] != row[2]] == []
    running[1].kill()
    assert running[0].returncode == 0
    for process in running:
        process.finish()
    assert [row for row in deployment.query(query) if row[1] != row[2]] == []


def test_records_of_a_killed_process_are_settled_once_by_the_next(deployment: Deployment) -> None:
    making = start_load(deployment, seed=1, calls=5)
    making.finish()
    before = budget_states(deployment)
    [(key, counter)] = deployment.query(
        "SELECT id, counter FROM native_api_budget ORDER BY id LIMIT 1"
    )
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    killed = deployment.child()
    killed.ask("record", count=250, claims={str(key): 2})
    killed.kill()
    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")
    for _ in range(2):
        deployment.catch_up()
    assert len(deployment.ids()) >= 250
    assert budget_states(deployment)[counter][0] == before[counter][0] + 500
