"""A process that reserves several budgets at a time, in several threads, adds to that, and settles,
gives back or leaves them, as chance will have it.

    python -m tests.limits.load SEED CALLS

Its last line tells what it used of each budget. It ends with an error where the database gave up on
anything.
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
from tests.limits.budget_factory import Call, call, record, want  # noqa: E402

BUDGETS, AMOUNT = "abcdef", 4000
THREADS = 3


def storm(chance: random.Random, calls: int) -> Counter[str]:
    used: Counter[str] = Counter()
    begun: list[tuple[Call, list[str], int]] = []
    for number in range(calls):
        counters = chance.sample(BUDGETS, chance.randint(1, 4))
        units = chance.randint(1, 300)
        try:
            lasting = chance.random() < 0.75
            made = call(
                *(want(counter, units, AMOUNT) for counter in counters),
                seconds=600 if lasting else -1,
            )
            if chance.random() < 0.5:
                top_up(made, {counter: units + chance.randint(0, 300) for counter in counters})
        except budgets.BudgetExhausted:
            continue
        finally:
            if number % 4 == 3:
                used += settled(begun, chance)
                begun = []
        begun.append((made, counters, units if lasting else 0))
    used += settled(begun, chance)
    connections.close_all()
    return used


def top_up(made: Call, units: dict[str, int]) -> None:
    """Another attempt needs more of all its budgets. There may be no room for that, or the call may
    be given up for dead."""
    held = dict(Reservation.objects.filter(record_id=made.id).values_list("budget_id", "amount"))
    with suppress(budgets.BudgetExhausted, DatabaseError):
        wants = [want(counter, total, AMOUNT) for counter, total in units.items()]
        budgets.reserve(
            made.id,
            wants,
            datetime.now(UTC) + timedelta(seconds=600),
            held or dict.fromkeys(made.keys, 0),
        )


def settled(begun: list[tuple[Call, list[str], int]], chance: random.Random) -> Counter[str]:
    """End these calls: most with a record, some given back, some never. Those of no units had
    nothing held for them for long."""
    used: Counter[str] = Counter()
    entries = []
    for made, counters, units in begun:
        end = chance.random()
        if end < 0.6 and units:
            part = chance.randint(0, units // 10)
            entries.append(made.entry(part))
            used.update(dict.fromkeys(counters, part))
        elif end < 0.9:
            settlement.release(made.id)
    if entries:
        record(*entries)
    if chance.random() < 0.3:
        settlement.expire("default")
    return used


def main() -> None:
    seed, calls = map(int, sys.argv[1:])
    with ThreadPoolExecutor(THREADS) as threads:
        used = sum(
            threads.map(
                lambda number: storm(random.Random(seed * 100 + number), calls), range(THREADS)
            ),
            Counter[str](),
        )
    settlement.expire("default")
    print(json.dumps(used))


if __name__ == "__main__":
    main()
