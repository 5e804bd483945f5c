"""The jobs of maintenance: what each does, how often, and the setting that it needs.

Each runs in small steps with `pause` between them, may be interrupted at any pause, and is safe to
run twice. It returns what it did; a failure that is expected raises JobFailed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from native_api.conf import native_settings
from native_api.limits import settlement
from native_api.maintenance import kept_responses
from native_api.models import Budget
from native_api.pricing import published, updates
from native_api.upstream.redaction import redact_url
from native_api.usage import reconcile
from native_api.usage.prune import Pruner
from native_api.usage.reconcile import Pause
from native_api.usage.totals import site_date

BATCH: Final = 500
"""Rows in one transaction."""

DAYS_COMPARED: Final = 3
"""The last complete days, so that one missed run leaves no day out."""

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)


class JobFailed(Exception):
    """The job could not do its work. The message says why, and what to do."""


@dataclass(frozen=True)
class Job:
    """`run(alias, pause)` does the work in the database `alias`.

    `setting` is the member of `MAINTENANCE` without which the job is off. A job that failed is due
    again after `retry`.
    """

    name: str
    description: Any
    run: Callable[[str, Pause], str]
    interval: timedelta = DAY
    retry: timedelta = HOUR
    setting: str = ""

    @property
    def is_on(self) -> bool:
        return not self.setting or bool(native_settings.MAINTENANCE[self.setting])


def expire_reservations(alias: str, pause: Pause) -> str:
    return f"{settlement.expire(alias)} reservations expired."


def compare_totals(alias: str, pause: Pause) -> str:
    today = site_date(datetime.now(UTC))
    differing = []
    for days_ago in range(DAYS_COMPARED, 0, -1):
        day = today - days_ago * DAY
        if not reconcile.compare(day, alias, pause).agrees:
            differing.append(str(day))
        pause()
    if differing:
        raise JobFailed(
            f"The totals differ from the usage records on {', '.join(differing)}. "
            "Run native_totals to see how."
        )
    return f"{DAYS_COMPARED} days: the totals are correct."


def prune_usage_records(alias: str, pause: Pause) -> str:
    pruner = Pruner(_days_ago("USAGE_RECORD_DAYS"), alias, BATCH, pause=pause)
    pruner.run()
    deleted = f"{pruner.deleted} usage records were deleted."
    if pruner.kept:
        days = ", ".join(str(day) for day in sorted(pruner.kept)[:3])
        raise JobFailed(
            f"{deleted} {pruner.kept.total()} were kept, because the totals of their days "
            f"({days}…) differ from them. Run native_totals --rebuild."
        )
    return deleted


def prune_budgets(alias: str, pause: Pause) -> str:
    """Delete the budgets of windows that ended long ago, unless a call still holds a part."""
    budgets = Budget._base_manager.using(alias)
    ended = budgets.filter(ends_at__lt=_days_ago("BUDGET_DAYS"), reserved__lte=0).order_by()
    deleted = 0
    while keys := list(ended.values_list("pk", flat=True)[:BATCH]):
        budgets.filter(pk__in=keys).delete()
        deleted += len(keys)
        pause()
    return f"{deleted} budgets were deleted."


def prune_responses(alias: str, pause: Pause) -> str:
    before = datetime.now(UTC) - timedelta(days=native_settings.RESPONSES["DAYS"])
    return f"{kept_responses.prune(before, alias, pause)} kept responses were deleted."


def update_prices(alias: str, pause: Pause) -> str:
    """Store the newest list, unless it lost half of its models, which nobody would notice here."""
    url = updates.DEFAULT_URL
    try:
        count = updates.update(url, minimum=published.bundled().count_models() // 2)
    except updates.UpdateFailed as error:
        raise JobFailed(str(error)) from error
    return f"Priced models: {count}, from {redact_url(url)}"


def _days_ago(setting: str) -> datetime:
    return datetime.now(UTC) - timedelta(days=native_settings.MAINTENANCE[setting])


JOBS: Final = {
    job.name: job
    for job in (
        Job(
            "expire_reservations",
            _("Ends the reservations of calls whose process died."),
            expire_reservations,
            interval=timedelta(minutes=10),
            retry=timedelta(minutes=10),
        ),
        Job(
            "compare_totals",
            _("Compares the daily totals of the last days with their usage records."),
            compare_totals,
            retry=DAY,
        ),
        Job(
            "prune_usage_records",
            _("Deletes usage records that are older than USAGE_RECORD_DAYS."),
            prune_usage_records,
            setting="USAGE_RECORD_DAYS",
        ),
        Job(
            "prune_budgets",
            _("Deletes budgets whose window ended more than BUDGET_DAYS ago."),
            prune_budgets,
            setting="BUDGET_DAYS",
        ),
        Job(
            "prune_responses",
            _("Deletes kept responses that are older than RESPONSES['DAYS']."),
            prune_responses,
        ),
        Job(
            "update_prices",
            _("Fetches the newest list of published prices."),
            update_prices,
            setting="UPDATE_PRICES",
        ),
    )
}
"""Name -> job, in the order in which they run."""


def enabled_jobs() -> list[Job]:
    return [job for job in JOBS.values() if job.is_on]
