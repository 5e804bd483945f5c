"""A process that, in several threads and at random, reserves in several budgets at once, extends
its reservations, and settles, releases or abandons them.

    python -m tests.limits.load SEED CALLS

Its last line is a JSON object of what it used of each budget. It ends with an error if the database
gave up on anything.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.db import DatabaseError, connections  # noqa: E402

from native_api.limits import budgets, settlement  # noqa: E402
from native_api.models import Reservation  # noqa: E402
from tests.limits.budget_factory import Call, budget_request, call, write_records  # noqa: E402

BUDGETS, AMOUNT = "abcdef", 4000
THREADS = 3


def make_calls(chance: random.Random, calls: int) -> Counter[str]:
    used: Counter[str] = Counter()
    running: list[tuple[Call, list[str], int]] = []
    for number in range(calls):
        counters = chance.sample(BUDGETS, chance.randint(1, 4))
        units = chance.randint(1, 300)
        try:
            lasting = chance.random() < 0.75
            existing = call(
                *(budget_request(counter, units, AMOUNT) for counter in counters),
                seconds=600 if lasting else -1,
            )
            if chance.random() < 0.5:
                top_up(existing, {counter: units + chance.randint(0, 300) for counter in counters})
        except budgets.BudgetExhausted:
            continue
        finally:
            if number % 4 == 3:
                used += end_calls(running, chance)
                running = []
        running.append((existing, counters, units if lasting else 0))
    used += end_calls(running, chance)
    connections.close_all()
    return used


def top_up(existing: Call, units: dict[str, int]) -> None:
    """Reserve more of all budgets for another attempt. They may be exhausted, or the reservation
    expired."""
    reserved = dict(
        Reservation.objects.filter(record_id=existing.id).values_list("budget_id", "amount")
    )
    with suppress(budgets.BudgetExhausted, DatabaseError):
        requests = [budget_request(counter, total, AMOUNT) for counter, total in units.items()]
        budgets.reserve(
            existing.id,
            requests,
            datetime.now(UTC) + timedelta(seconds=600),
            reserved or dict.fromkeys(existing.keys, 0),
        )


def end_calls(running: list[tuple[Call, list[str], int]], chance: random.Random) -> Counter[str]:
    """End these calls: most with a record, some released, some never. Those with zero units have
    expired already. Returns what was used."""
    used: Counter[str] = Counter()
    entries = []
    for existing, counters, units in running:
        end = chance.random()
        if end < 0.6 and units:
            part = chance.randint(0, units // 10)
            entries.append(existing.entry(part))
            used.update(dict.fromkeys(counters, part))
        elif end < 0.9:
            settlement.release(existing.id)
    if entries:
        write_records(*entries)
    if chance.random() < 0.3:
        settlement.expire("default")
    return used


def main() -> None:
    seed, calls = map(int, sys.argv[1:])
    with ThreadPoolExecutor(THREADS) as threads:
        used = sum(
            threads.map(
                lambda number: make_calls(random.Random(seed * 100 + number), calls), range(THREADS)
            ),
            Counter[str](),
        )
    settlement.expire("default")
    print(json.dumps(used))


if __name__ == "__main__":
    main()
