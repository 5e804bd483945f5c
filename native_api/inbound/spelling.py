"""Which known name a client may have meant by an unknown one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MAX_DISTANCE: Final = 2
MIN_LENGTH: Final = 5
"""Of the known name. Shorter ones are near to too many others."""


def find_misspelled(name: str, known_names: Collection[str]) -> str:
    """The known name that `name` is probably a misspelling of, "" if there is none.

    That is the nearest of those with at least five letters, at a distance of at most two; or one
    that differs only in capitals, `_` and `-`, which some servers take for the same.
    """
    distances = {
        known: 0 if _fold(known) == _fold(name) else measure_distance(name, known)
        for known in known_names
        if abs(len(known) - len(name)) <= MAX_DISTANCE or _fold(known) == _fold(name)
    }
    near = {
        known: distance
        for known, distance in distances.items()
        if distance == 0 or (distance <= MAX_DISTANCE and len(known) >= MIN_LENGTH)
    }
    return min(near, key=lambda known: (near[known], known), default="")


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def measure_distance(one: str, other: str) -> int:
    """The Damerau-Levenshtein distance: how many letters are to be inserted, removed, replaced or
    swapped with their neighbour. Of a distance above MAX_DISTANCE only that is certain."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, last, row = row, before, [index]
        for position, against in enumerate(other, 1):
            cost = min(
                before[position] + 1, row[-1] + 1, before[position - 1] + (letter != against)
            )
            if (
                index > 1
                and position > 1
                and letter == other[position - 2]
                and against == one[index - 2]
            ):
                cost = min(cost, last[position - 2] + 1)
            row.append(cost)
        if min(row) > MAX_DISTANCE and min(before) > MAX_DISTANCE:
            return MAX_DISTANCE + 1
    return row[-1]
