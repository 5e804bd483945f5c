"""The usage records in the admin: read-only, escaped, and fast on a large table.

`USAGE_ROWS=1000000 pytest tests/usage/test_admin.py` uses a very large table. The tests check query
plans, not times.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.load import LOAD
from tests.usage.conftest import DATABASES, Child, make_deployment

ROWS = int(os.environ.get("USAGE_ROWS", 50_000 * LOAD))
LIST = "/admin/native_api/usagerecord/"
OLDEST_ID = "01900000-0000-0000-0000-00000000001f"


@pytest.fixture(scope="module", params=DATABASES)
def admin(
    request: pytest.FixtureRequest,
    templates: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Child]:
    """A process that opens pages of the admin with a large table."""
    deployment = make_deployment(
        request.param, templates[request.param], tmp_path_factory.mktemp("admin")
    )
    child = deployment.child()
    child.ask("fill", rows=ROWS)
    yield child
    deployment.close()


def rows(page: dict[str, Any]) -> int:
    assert page["status"] == 200, page
    return len(re.findall(r'<th class="field-created_at', page["body"]))


def assert_queries_are_cheap(page: dict[str, Any]) -> None:
    for query, plan in zip(page["queries"], page["plans"], strict=True):
        assert "COUNT(" not in query.upper(), query
        assert "DISTINCT" not in query.upper(), query
        assert "LIMIT" in query, query
        assert not re.search(
            r"Seq Scan on native_api_usagerecord|SCAN native_api_usagerecord$", plan, re.M
        ), (query, plan)
        if '"request_id" =' not in query:  # which finds few rows
            assert not re.search(r"TEMP B-TREE|Sort", plan), (query, plan)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?p=5",
        "?status__exact=error",
        "?provider=provider-1",
        "?model=model-3",
        "?stream=1",
        "?stream=0",
        "?endpoint=chat/completions",
        "?endpoint=messages",
        "?period=1h",
        "?period=30d",
        "?model=model-3&status__exact=ok",
        "?period=30d&model=model-3",
        "?q=request-777",
        f"?q={OLDEST_ID}",
        "?q=admin",
        "?q=model-2",
        "?q=nothing-like-this",
    ],
)
def test_no_page_counts_sorts_or_scans_the_table(admin: Child, query: str) -> None:
    page = admin.ask("get_page", path=LIST + query)
    rows(page)
    assert_queries_are_cheap(page)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 100),
        (f"?p={ROWS // 100}", 100),
        ("?status__exact=error", 100),
        ("?status__exact=error&p=2", 100),
        ("?status__exact=refused", 0),
        ("?stream=1", ROWS // 50_000),
        ("?endpoint=nothing", 0),
        ("?q=request-777", 1),
        (f"?q={OLDEST_ID}", 1),
        ("?q=model-2", 100),
        ("?q=request-77", 1),
        ("?q=nothing-like-this", 0),
        ("?q=admin", 0),
        ("?provider=%00", 0),
    ],
)
def test_filters_and_searches_find_the_expected_rows(
    admin: Child, query: str, expected: int
) -> None:
    assert rows(admin.ask("get_page", path=LIST + query)) == expected


def test_filters_offer_existing_providers_and_models_that_answered(
    admin: Child,
) -> None:
    admin.ask("record", model="model-0")
    admin.ask("record", model="made-up", counted_as="(unknown)", status="refused")
    assert admin.ask("flush", timeout=60) is True
    body = admin.ask("get_page", path=LIST)["body"]
    for value in ("model-0", "provider-0", "provider-2"):
        assert f"={value}&" in body or f'={value}"' in body
    assert "model=made-up" not in body
    assert "unknown" not in body


@pytest.mark.parametrize("page", [str(ROWS // 100 + 1), "9999999", "1" + "0" * 30, "0", "-1", "x"])
def test_a_missing_page_is_not_an_error(admin: Child, page: str) -> None:
    answer = admin.ask("get_page", path=f"{LIST}?p={page}")
    assert answer["status"] in (200, 302)
    if answer["status"] == 200:
        assert rows(answer) <= 100


def test_the_next_page_is_linked_and_no_total_is_shown(admin: Child) -> None:
    body = admin.ask("get_page", path=LIST + "?p=3")["body"]
    assert 'href="?p=4"' in body
    assert 'href="?p=6"' not in body
    assert "usage records\n" not in body
    assert not re.search(r"\d+ results", body)


def test_records_cannot_be_added_changed_or_deleted(admin: Child) -> None:
    assert admin.ask("get_page", path=LIST + "add/")["status"] == 403
    assert admin.ask("get_page", path=f"{LIST}{OLDEST_ID}/delete/")["status"] == 403
    record = admin.ask("get_page", path=f"{LIST}{OLDEST_ID}/change/")
    assert record["status"] == 200
    assert 'name="_save"' not in record["body"]
    assert "deletelink" not in record["body"]


def test_texts_of_callers_and_models_are_escaped(admin: Child) -> None:
    script = "<script>alert(1)</script>"
    [identity] = admin.ask(
        "record",
        model=script,
        user_name=script,
        api_key_name=script,
        finish_reason=script,
        metadata={script: script},
    )
    assert admin.ask("flush", timeout=60) is True
    assert (
        script not in admin.ask("get_page", path=LIST + "?q=" + script.replace("/", "%2F"))["body"]
    )
    shown = admin.ask("get_page", path=f"{LIST}{identity}/change/")["body"]
    assert script not in shown
    assert "&lt;script&gt;" in shown


def test_a_period_shows_the_records_of_that_period(admin: Child) -> None:
    admin.ask("record", count=3, model="of-this-hour")
    assert admin.ask("flush", timeout=60) is True
    assert rows(admin.ask("get_page", path=LIST + "?period=1h&model=of-this-hour")) == 3
    assert rows(admin.ask("get_page", path=LIST + "?period=30d&model=model-1")) == 0
