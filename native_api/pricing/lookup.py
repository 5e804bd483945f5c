"""What a target's calls cost: by the site's own PRICE, else by the prices that its vendor
publishes, else nobody knows.

Rules:
1. An unknown price is None, never zero: nothing that was used looks free.
2. The target's own price wins over the provider's, which wins over the published ones. Tables are
   not mixed.
3. Nothing here raises into a call, and nothing waits for the database on an event loop.
4. The newest list in the database counts. A process looks for one when it starts, and then at most
   once a minute.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Final, NamedTuple

from native_api import background
from native_api.logs import get_logger
from native_api.pricing import published, tables
from native_api.types import Target, Usage
from native_api.types.model_names import canonical
from native_api.usage.entry import UsageEntry

logger = get_logger("native_api.pricing")

MAX_AGE: Final = 60.0
"""Seconds that a price which depends on the time, and the list itself, are used without looking
again."""

PATIENCE: Final = 5.0
"""Seconds that the first call waits for the prices."""

MOST_REMEMBERED: Final = 10_000
MOST_COST: Final = Decimal(10) ** 12
"""USD: the database holds less than this."""

TIERS: Final = frozenset({"flex", "priority", "fast"})
"""Service tiers with prices of their own."""

FREE: Final[tables.Table] = {"INPUT": tables.ZERO, "OUTPUT": tables.ZERO}
GIVEN: Final[Mapping[str, tables.Table]] = {"echo": FREE}
"""What is known without a list: the echo works in this process."""


class _Known(NamedTuple):
    """A looked-up price, and until when it holds, on the monotonic clock."""

    table: tables.Table | None
    until: float


class _Lists:
    """The process's edition of the published prices and what was looked up in it."""

    def __init__(self) -> None:
        self.edition: published.Published | None = None
        self.row: int | None = None
        """The id of the database's list that `edition` was read from, None for the package's
        own."""
        self.looked_at: float
        self.look: Future[None] | None
        self.known: dict[tuple[str, str, str, str], _Known] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """A lock held by a thread that the child does not have would never be released, nor would
        what it looks for come."""
        self.lock = threading.Lock()
        self.looked_at, self.look = float("-inf"), None

    def load(self) -> published.Published:
        with self.lock:
            if self.edition is None:
                self.use(published.bundled(), None)
            assert self.edition is not None
            return self.edition

    def use(self, edition: published.Published, row: int | None) -> None:
        self.edition, self.row, self.known = edition, row, {}

    def refresh(self) -> None:
        """Take the database's newest list where that is another one than before."""
        self.load()
        self.looked_at = time.monotonic()
        with self.lock:
            newest = _newest()
            if newest != self.row:
                self.row = (
                    newest  # also where it cannot be read, so that it is not read again and again
                )
                self.use(
                    published.bundled() if newest is None else published.read(_text(newest)), newest
                )


_lists = _Lists()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lists.after_fork)
_threads: Final = background.Threads("native-api-prices", 1)


def _newest() -> int | None:
    from native_api.models import PriceList

    return PriceList.objects.values_list("pk", flat=True).first()


def _text(row: int) -> str:
    from native_api.models import PriceList

    return PriceList.objects.values_list("data", flat=True).get(pk=row)


# --- making ready ----------------------------------------------------------------------------------------------


def load() -> None:
    """Make the published prices known to this process. The first call takes some tenths of a
    second, later ones nothing."""
    if _lists.edition is None:
        _lists.load()


def refresh() -> None:
    """Look for a newer list now. Queries the database. What is wrong with that, or with the list,
    leaves the prices as they were."""
    try:
        _lists.refresh()
    except Exception as error:
        logger.warning(
            "No newer prices could be looked for (%s); they stay as they were.",
            type(error).__name__,
        )


async def aready() -> None:
    """Wait, the first time, until prices are known; later only have a worker thread look for newer
    ones, once a minute."""
    if time.monotonic() - _lists.looked_at < MAX_AGE:
        if _lists.edition is None and _lists.look is not None:
            await _looked(_lists.look)
        return
    _lists.looked_at = time.monotonic()
    _lists.look = _threads.submit(refresh)
    if _lists.edition is None:
        await _looked(_lists.look)


async def _looked(look: Future[None]) -> None:
    try:
        await _threads.wait(PATIENCE, look)
    except background.HangingCall:
        logger.warning("Prices could not be read in %g s.", PATIENCE)


def forget() -> None:
    """Look for the newest list with the next call, and look up everything anew."""
    _lists.looked_at = float("-inf")
    _lists.known = {}


# --- a target's price ------------------------------------------------------------------------------------------


def price_of(target: Target, speed: str = "", tier: str = "") -> tables.Table | None:
    """The prices of a target's calls as they are now; None where nobody tells them. Never raises.

    `speed` and `tier` are Anthropic's and the service tier that a reply tells, where that is not
    the ordinary one.
    """
    told = target.price or target.provider.price
    if told:
        return told
    vendor = target.provider.vendor
    if not vendor:
        return None
    model = canonical(target.model)
    known = _lists.known.get((vendor, model, speed, tier))
    if known is None or known.until < time.monotonic():
        known = _look_up(vendor, model, speed, tier)
    return known.table


def _look_up(vendor: str, model: str, speed: str, tier: str) -> _Known:
    if vendor in GIVEN or vendor not in published.LISTS:
        return _Known(GIVEN.get(vendor), float("inf"))
    memory = _lists.known
    try:
        edition = _lists.load()
        found = edition.model(vendor, model)
        context = {
            name: value for name, value in (("speed", speed), ("service_tier", tier)) if value
        }
        own = found is not None and bool(context) and edition.is_its_own(vendor, found)
        table = (
            None
            if found is None
            else published.table_of(found, context if own else published.STANDARD)
        )
        lasting = found is None or not published.varies(found)
    except Exception as error:
        logger.warning(
            "The published prices of %s cannot be read: %s.", vendor, type(error).__name__
        )
        table, lasting = None, False
    known = _Known(table, float("inf") if lasting else time.monotonic() + MAX_AGE)
    if len(memory) >= MOST_REMEMBERED:
        memory.clear()
    memory[vendor, model, speed, tier] = known
    return known


def cost(target: Target | None, usage: Usage | None) -> Decimal | None:
    """USD; None where the price or the usage is not known."""
    return _charged(target, usage, "")[1]


def charge(entry: UsageEntry, target: Target | None, usage: Usage | None, tier: str = "") -> None:
    """Sets the entry's cost and the price that it was worked out with, each to None where it is not
    known.

    `tier` is the service tier that the reply tells. Where no price is published for that, the
    ordinary one counts.
    """
    entry.price = entry.cost = None
    try:
        table, entry.cost = _charged(target, usage, tier)
        entry.price = None if table is None else tables.to_json(table)
    except Exception:
        logger.exception("A call could not be charged; its record has no cost.")


def _charged(
    target: Target | None, usage: Usage | None, tier: str
) -> tuple[tables.Table | None, Decimal | None]:
    if target is None or usage is None:
        return None, None
    fast = "fast" if usage.get("speed") == "fast" else ""
    table = price_of(target, fast, tier if tier in TIERS else "")
    amount = None if table is None else tables.cost(table, usage)
    return table, amount if amount is not None and amount < MOST_COST else None


def estimate(
    target: Target, prompt_tokens: int, completion_tokens: int, tier: str = ""
) -> Decimal | None:
    """USD that a call of text with so many tokens may cost at most in that service tier; None where
    its price is not known."""
    table = price_of(target, tier=tier if tier in TIERS else "")
    return None if table is None else tables.most(table, prompt_tokens, completion_tokens)


def blended(target: Target) -> Decimal | None:
    """USD per million tokens of an ordinary mix, only for comparing; None where the price is not
    known."""
    table = price_of(target)
    return None if table is None else tables.blended(table)
