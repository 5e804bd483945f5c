"""The context of a request for tests of inbound formats: its headers, and its caller's seal."""

from __future__ import annotations

from native_api.access.sealing import CallerSeal
from native_api.inbound.base import ClientContext
from native_api.types import Caller

ALICE = Caller(user_id=1, user_name="alice")
BOB = Caller(user_id=2, user_name="bob")


def context_of(caller: Caller = ALICE, **headers: str) -> ClientContext:
    """Headers by their names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ClientContext(named, CallerSeal(caller))
