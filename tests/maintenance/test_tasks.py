"""Maintenance as a task of Django's, where Django has tasks, and as a function elsewhere."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest

from native_api.maintenance import jobs
from native_api.maintenance.jobs import Job, JobFailed
from native_api.models import MaintenanceJob
from native_api.tasks import maintain
from tests.test_reference_examples import section

HAS_TASKS = any(find_spec(name) for name in ("django.tasks", "django_tasks"))

needs_tasks = pytest.mark.skipif(not HAS_TASKS, reason="This Django has no tasks.")

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def failing_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(alias: str, pause: Any) -> str:
        raise JobFailed("A day differs.")

    monkeypatch.setattr(jobs, "JOBS", {"fail": Job("fail", "", run), **jobs.JOBS})


def call() -> Any:
    return maintain.call() if HAS_TASKS else maintain()


def test_it_returns_the_results_of_what_was_due() -> None:
    assert call() == {
        "expire_reservations": "0 reservations expired.",
        "compare_totals": "3 days: the totals are correct.",
        "prune_responses": "0 kept responses were deleted.",
    }
    assert call() == {}


@pytest.mark.usefixtures("failing_job")
def test_it_raises_after_all_jobs_have_run() -> None:
    with pytest.raises(JobFailed, match=r"^fail: A day differs\.$"):
        call()
    assert call() == {}


@needs_tasks
def test_a_backend_runs_it_and_has_its_result() -> None:
    result = maintain.enqueue()
    assert result.status == "SUCCESSFUL"
    assert result.return_value.keys() == {
        "expire_reservations",
        "compare_totals",
        "prune_responses",
    }


@needs_tasks
@pytest.mark.usefixtures("failing_job")
def test_a_failure_is_the_tasks_failure() -> None:
    result = maintain.enqueue()
    assert result.status == "FAILED"
    assert "A day differs." in result.errors[0].traceback


@needs_tasks
def test_the_code_of_the_page() -> None:
    [code] = re.findall(r"```python\n(.*?)```", section("maintenance.md#as-a-task"), re.DOTALL)
    exec(code, {})
    assert MaintenanceJob.objects.filter(succeeded=True).count() == 3
