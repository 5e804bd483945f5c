"""What the calls of a target cost.

The site's own PRICE is used, else the prices that the vendor publishes; else the price is unknown.

Rules:
1. An unknown price is None, never zero: nothing that was used looks free.
2. The target's own price takes precedence over the provider's, and that over the published ones.
   Tables are not mixed.
3. Nothing here raises into a call, and nothing waits for the database on an event loop.
4. The newest list in the database is used. A process looks for a newer one when it starts, and then
   at most once a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from decimal import Decimal
from typing import Final

from native_api.background import CallTimeout, ResourceUnavailable, executors, test_environment
from native_api.background.single_flight import SingleFlight
from native_api.bounded_cache import BoundedCache
from native_api.forks import reset_after_fork
from native_api.logs import get_logger
from native_api.pricing import conversion, costs, published, tables
from native_api.types import Json, Target, Usage
from native_api.types.model_names import canonical

logger = get_logger("native_api.pricing")

MAX_AGE_SECONDS: Final = 60.0
"""How long a price that depends on the time, and the list itself, are used before looking again."""

READY_TIMEOUT_SECONDS: Final = 5.0
"""How long the first call waits for the prices."""

MAX_REMEMBERED_TABLES: Final = 10_000
MAX_COST: Final = Decimal(10) ** 12
"""USD. The database stores only smaller amounts."""

PRICED_TIERS: Final = frozenset({"flex", "priority", "fast"})
"""Service tiers with prices of their own."""

FREE: Final[tables.Table] = {"INPUT": tables.ZERO, "OUTPUT": tables.ZERO}
BUILT_IN: Final[Mapping[str, tables.Table]] = {"echo": FREE}
"""Prices that need no list: the echo provider runs in this process."""


_Tables = BoundedCache[tuple[str, str, str, str], tables.Table | None]
"""By vendor, model, speed and service tier."""

_UNKNOWN: Final[tables.Table] = {}
"""Stands for a table that was not looked up yet."""


class _PublishedPrices:
    """The edition of the published prices that this process uses, and the lookups in it."""

    def __init__(self) -> None:
        self.edition: published.Edition | None = None
        self.row: int | None = None
        """The id of the database's list that `edition` was read from; None for the release's."""
        self.refreshed_at: float
        self.refreshes = SingleFlight[None, None]()
        self.remembered = _Tables(MAX_REMEMBERED_TABLES)
        self.after_fork()

    def after_fork(self) -> None:
        """The child lacks the parent's threads: it would wait forever for their lock."""
        self.lock = threading.Lock()
        self.refreshed_at = float("-inf")

    def load(self) -> published.Edition:
        if (edition := self.edition) is not None:  # without the lock: `refresh` queries under it
            return edition
        with self.lock:
            if self.edition is None:
                self.use(published.bundled(), None)
            assert self.edition is not None
            return self.edition

    def use(self, edition: published.Edition, row: int | None) -> None:
        self.edition, self.row = edition, row
        self.remembered = _Tables(MAX_REMEMBERED_TABLES)

    def refresh(self) -> None:
        """Use the database's newest list, if it is another one than before."""
        self.load()
        self.refreshed_at = time.monotonic()
        with self.lock:
            newest = _newest_row()
            if newest != self.row:
                text = None if newest is None else _text_of_row(newest)
                # Set before reading, so that a list that cannot be read is not read again.
                self.row = newest
                self.use(published.bundled() if text is None else published.read(text), newest)


_published = _PublishedPrices()
reset_after_fork(_published.after_fork)
_threads: Final = executors.foreign.lane(1)


def _newest_row() -> int | None:
    from native_api.models import PriceList

    return PriceList.objects.values_list("pk", flat=True).first()


def _text_of_row(row: int) -> str:
    from native_api.models import PriceList

    return PriceList.objects.values_list("data", flat=True).get(pk=row)


# --- loading -------------------------------------------------------------------------------------


def load() -> None:
    """Load the published prices. Only the first call takes time."""
    if _published.edition is None:
        _published.load()


def refresh() -> None:
    """Look for a newer list now. Queries the database; if that fails, the prices stay the same."""
    try:
        _published.refresh()
    except Exception as error:
        _warn_of_failure(error)


def _warn_of_failure(error: BaseException) -> None:
    logger.warning(
        "Newer prices could not be loaded (%s). The current ones stay in use.",
        type(error).__name__,
    )


async def ensure_ready() -> None:
    """Wait for the prices before the first call.

    Later, once a minute, let a worker thread look for newer ones, without waiting for it. Tests use
    those that come with the package.
    """
    if test_environment.is_active():
        load()
        return
    is_due = time.monotonic() - _published.refreshed_at >= MAX_AGE_SECONDS
    if not is_due and _published.edition is not None:
        return
    refreshing = _published.refreshes.join(None, _start_refreshing)
    if _published.edition is None:
        await _wait_for(refreshing)


def _start_refreshing() -> Future[None]:
    """The executor has to see errors: they show whether the database answers."""
    _published.refreshed_at = time.monotonic()
    refreshing = executors.slow_queries.submit(_published.refresh)
    refreshing.add_done_callback(_note_end)
    return refreshing


def _note_end(refreshing: Future[None]) -> None:
    error = None if refreshing.cancelled() else refreshing.exception()
    if error is not None and not isinstance(error, ResourceUnavailable):
        _warn_of_failure(error)


async def _wait_for(refreshing: Future[None]) -> None:
    try:
        await executors.slow_queries.wait_for(READY_TIMEOUT_SECONDS, refreshing)
    except ResourceUnavailable as error:
        logger.warning("Newer prices were not looked for: %s.", error)
    except Exception:  # noqa: S110  it has been logged
        pass
    if _published.edition is None:
        with suppress(CallTimeout):
            await _threads.run(READY_TIMEOUT_SECONDS, load)


def forget_prices() -> None:
    """Look for the newest list with the next call, and forget all earlier lookups."""
    _published.refreshed_at = float("-inf")
    _published.remembered = _Tables(MAX_REMEMBERED_TABLES)


# --- a target's price ----------------------------------------------------------------------------


def price_of(target: Target, speed: str = "", tier: str = "") -> tables.Table | None:
    """The current prices of a target's calls; None if they are not known. Never raises.

    `speed` is Anthropic's, `tier` the service tier, both as the reply says, or empty if they are
    the ordinary ones.
    """
    own_price = target.price or target.provider.price
    if own_price:
        return own_price
    vendor = target.provider.vendor
    if not vendor:
        return None
    model = canonical(target.known_model)
    table = _published.remembered.get((vendor, model, speed, tier), _UNKNOWN)
    return _look_up(vendor, model, speed, tier) if table is _UNKNOWN else table


def _look_up(vendor: str, model: str, speed: str, tier: str) -> tables.Table | None:
    if vendor in BUILT_IN or vendor not in published.LISTS:
        return BUILT_IN.get(vendor)
    # Taken before the edition is read: if another one replaces it meanwhile, this result is lost.
    lookups = _published.remembered
    try:
        table, is_lasting = _read_table(vendor, model, speed, tier)
    except Exception as error:
        logger.warning(
            "The published prices of %s cannot be read: %s.", vendor, type(error).__name__
        )
        table, is_lasting = None, False
    key = vendor, model, speed, tier
    lookups.store(key, table, None if is_lasting else MAX_AGE_SECONDS)
    return table


def _read_table(vendor: str, model: str, speed: str, tier: str) -> tuple[tables.Table | None, bool]:
    """The table in the current edition, and whether it is the same at all times."""
    edition = _published.load()
    listed = edition.find_model(vendor, model)
    if listed is None:
        return None, True
    context = {name: value for name, value in (("speed", speed), ("service_tier", tier)) if value}
    if context and not edition.is_on_own_list(vendor, listed):
        context = {}
    prices = listed.parse_prices()
    return conversion.table_of(prices, context), not prices.is_time_dependent()


def cost(target: Target | None, usage: Usage | None) -> Decimal | None:
    """USD; None if the price or the usage is not known."""
    return _table_and_cost(target, usage, "")[1]


def cost_and_price(
    target: Target | None, usage: Usage | None, tier: str = ""
) -> tuple[Decimal | None, Json | None]:
    """The cost in USD and the price it was computed with, each None if not known. Never raises.

    `tier` is the service tier that the reply names. If no price is published for it, the ordinary
    one is used.
    """
    try:
        table, amount = _table_and_cost(target, usage, tier)
        return amount, None if table is None else tables.to_json(table)
    except Exception:
        logger.exception("The cost of a call could not be computed; its record has no cost.")
        return None, None


def _table_and_cost(
    target: Target | None, usage: Usage | None, tier: str
) -> tuple[tables.Table | None, Decimal | None]:
    if target is None or usage is None:
        return None, None
    speed = "fast" if usage.get("speed") == "fast" else ""
    table = price_of(target, speed, tier if tier in PRICED_TIERS else "")
    amount = None if table is None else costs.call_cost(table, usage)
    return table, amount if amount is not None and amount < MAX_COST else None


def max_cost(
    target: Target, prompt_tokens: int, completion_tokens: int, tier: str = ""
) -> Decimal | None:
    """The maximum cost in USD of a text call of this size in this service tier.

    None if the price is not known.
    """
    table = price_of(target, tier=tier if tier in PRICED_TIERS else "")
    return None if table is None else costs.max_cost(table, prompt_tokens, completion_tokens)


def blended_price(target: Target) -> Decimal | None:
    """USD per million tokens of an ordinary mix, for comparing targets; None if not known."""
    table = price_of(target)
    return None if table is None else costs.blended_price(table)
