"""Where kept responses are read, written and decoded: in threads, with time limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import Error as DatabaseError

from native_api.background import ResourceUnavailable, executors
from native_api.exceptions import DatabaseUnavailable

T = TypeVar("T")

READ_SECONDS: Final = 10.0

# A large response takes long by itself: that says nothing about the database.
database: Final = executors.database.lane(2, is_evidence=False)
_computing: Final = executors.foreign.lane(2)


async def read(function: Callable[..., T], *args: Any) -> T:
    """The result of a function of `kept_rows`. Raises what it raises, or DatabaseUnavailable."""
    try:
        return await database.run(READ_SECONDS, function, *args)
    except (DatabaseError, ResourceUnavailable):
        raise DatabaseUnavailable(
            "Kept responses cannot be reached right now. Try again shortly.",
            headers={"retry-after": "5"},
        ) from None


async def compute(function: Callable[..., T], *args: Any) -> T:
    """The result of a function that takes a while."""
    return await asyncio.wrap_future(_computing.submit(function, *args))
