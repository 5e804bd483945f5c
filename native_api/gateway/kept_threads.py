"""Where kept responses are read, written and decoded: in threads, with time limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

from django.db import Error as DatabaseError

from native_api.background import ResourceUnavailable, executors
from native_api.exceptions import DatabaseUnavailable
from native_api.gateway import kept_rows

T = TypeVar("T")

READ_SECONDS: Final = 10.0

LARGE_BYTES: Final = 1024 * 1024
"""A row of more bytes takes long by itself, which says nothing about the database."""

_large: Final = executors.database.lane(1, is_evidence=False)
_reading: Final = executors.database.lane(2, is_evidence=False)
_computing: Final = executors.foreign.lane(2)


@cache
def _writing() -> executors.Lane:
    return executors.writing_lane(kept_rows.database_alias())


def lane_for(size: int) -> executors.Lane:
    """Where a row of so many bytes is written."""
    return _large if size > LARGE_BYTES else _writing()


async def read(function: Callable[..., T], *args: Any) -> T:
    """The result of a function of `kept_rows`. Raises what it raises, or DatabaseUnavailable."""
    try:
        return await _reading.run(READ_SECONDS, function, *args)
    except (DatabaseError, ResourceUnavailable):
        raise DatabaseUnavailable(
            "Kept responses cannot be reached right now. Try again shortly.",
            headers={"retry-after": "5"},
        ) from None


async def compute(function: Callable[..., T], *args: Any) -> T:
    """The result of a function that takes a while."""
    return await asyncio.wrap_future(_computing.submit(function, *args))
