"""Maintenance as a task of `django.tasks` (Django 6.0), or of its backport `django-tasks`.

    from native_api.tasks import maintain

    maintain.enqueue()

Without either, `maintain` is a function, to be called by the site's own task queue.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, cast

from native_api.maintenance import runner
from native_api.maintenance.jobs import JobFailed, enabled_jobs
from native_api.usage.journal import location

__all__ = ["maintain"]


def _find_decorator() -> Callable[[Any], Any]:
    for module in ("django.tasks", "django_tasks"):
        with suppress(ImportError):
            return cast("Callable[[Any], Any]", import_module(module).task)
    return lambda function: function


@_find_decorator()
def maintain() -> dict[str, str]:
    """Run the jobs of maintenance that are due, unless another process runs them.

    Returns the result of each job by its name. Raises JobFailed, after all have run, if one failed.
    """
    outcomes = list(runner.run_jobs(enabled_jobs(), location.database_alias()))
    failures = [f"{each.job.name}: {each.result}" for each in outcomes if not each.succeeded]
    if failures:
        raise JobFailed(" ".join(failures))
    return {each.job.name: each.result for each in outcomes}
