"""The admin shows the state of maintenance, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from native_api.models import MaintenanceJob

LIST = "/admin/native_api/maintenancejob/"


@pytest.fixture
def page(transactional_db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("admin", "a@b.example", "admin"))
    moment = datetime(2026, 3, 4, 12, tzinfo=UTC)
    for name in ("compare_totals", "prune_budgets", "job_of_an_older_version"):
        MaintenanceJob.objects.create(
            name=name,
            due_at=moment,
            finished_at=moment,
            succeeded=False,
            result="The totals differ.",
            holder="web-1 4242 abc",
        )
    return client


def test_the_list_shows_each_job_with_its_last_run(page: Client) -> None:
    text = page.get(LIST).content.decode()
    for shown in (
        "compare_totals",
        "The totals differ.",
        "web-1 4242 abc",
        "March 4, 2026, 6 a.m.",
    ):
        assert shown in text


def test_a_job_says_what_it_does_and_whether_it_is_on(page: Client) -> None:
    text = page.get(f"{LIST}prune_budgets/change/").content.decode()
    assert "Deletes budgets whose window ended" in text
    assert 'alt="False"' in text
    assert page.get(f"{LIST}job_of_an_older_version/change/").status_code == 200


def test_nothing_can_be_changed(page: Client) -> None:
    assert page.get(f"{LIST}add/").status_code == 403
    assert page.post(f"{LIST}compare_totals/change/", {"result": "fine"}).status_code == 403
    assert page.post(f"{LIST}compare_totals/delete/", {"post": "yes"}).status_code == 403
