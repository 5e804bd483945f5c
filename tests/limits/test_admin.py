"""Limits, model access and budgets in the admin."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from native_api.models import ApiKey, Budget, Limit, ModelAccess

LISTS = ("limit", "budget", "modelaccess")
NASTY = "<script>alert(1)</script>"
LIMIT: dict[str, Any] = {
    "subject": "everyone",
    "metric": "requests",
    "amount": "5",
    "window": "day",
    "pattern": "",
    "enabled": "on",
}


@pytest.fixture
def boss(db: None) -> Any:
    return get_user_model().objects.create_superuser("boss", "a@b.example", "boss")


@pytest.fixture
def page(boss: Any, client: Client) -> Client:
    client.force_login(boss)
    return client


@pytest.fixture
def group(db: None) -> Group:
    return Group.objects.create(name="team")


def address(model: str, action: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:native_api_{model}_{action}", args=args)


def body(page: Client, model: str, query: str = "") -> str:
    answer = page.get(address(model) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def errors(page: Client, model: str, **fields: Any) -> dict[str, list[str]]:
    """The form's errors for these fields; none if it was saved."""
    answer = page.post(address(model, "add"), fields)
    return {} if answer.status_code == 302 else dict(answer.context["adminform"].form.errors)


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"subject": "group"}, {"group": ["Select one, because the subject is 'group'."]}),
        ({"subject": "user"}, {"user": ["Select one, because the subject is 'user'."]}),
        ({"subject": "key"}, {"api_key": ["Select one, because the subject is 'key'."]}),
        ({"user": "BOSS"}, {"user": ["Leave this empty unless the subject is 'user'."]}),
        (
            {"subject": "user", "user": "BOSS", "group": "TEAM"},
            {"group": ["Leave this empty unless the subject is 'group'."]},
        ),
        ({"window": ""}, {"window": ["Choose a window."]}),
        ({"metric": "concurrent_requests"}, {"window": ["Concurrent requests have no window."]}),
        ({"amount": "1.5"}, {"amount": ["The amount must be a whole number."]}),
        ({"amount": "100000000001"}, {"amount": ["The amount must be at most 100,000,000,000."]}),
        (
            {"metric": "cost", "amount": "1000001"},
            {"amount": ["The amount must be at most 1,000,000."]},
        ),
        (
            {"metric": "concurrent_requests", "window": "", "amount": "100001"},
            {"amount": ["The amount must be at most 100,000."]},
        ),
        ({"threshold": "0"}, {"threshold": ["Ensure this value is greater than or equal to 1."]}),
        ({"threshold": "101"}, {"threshold": ["Ensure this value is less than or equal to 100."]}),
        ({"metric": ""}, {"metric": ["This field is required."]}),
        ({"subject": ""}, {"subject": ["This field is required."]}),
        ({"amount": ""}, {"amount": ["This field is required."]}),
        ({"amount": "NaN"}, {"amount": ["Enter a number."]}),
    ],
)
def test_an_invalid_limit_is_refused_with_the_reason(
    page: Client, boss: Any, group: Group, fields: dict[str, str], expected: dict[str, list[str]]
) -> None:
    named = {
        name: {"BOSS": boss.pk, "TEAM": group.pk}.get(value, value)
        for name, value in fields.items()
    }
    assert errors(page, "limit", **{**LIMIT, **named}) == expected
    assert not Limit.objects.exists()


def test_a_negative_amount_is_refused(page: Client) -> None:
    assert "amount" in errors(page, "limit", **{**LIMIT, "amount": "-1"})


@pytest.mark.parametrize("subject", ["everyone", "each_user", "group", "user", "key"])
def test_a_limit_of_each_subject_is_saved_and_listed(
    page: Client, boss: Any, group: Group, subject: str
) -> None:
    key = ApiKey.objects.create(owner=boss, name="robot", prefix="nk_x", digest="d")
    member = {
        "group": {"group": group.pk},
        "user": {"user": boss.pk},
        "key": {"api_key": key.pk},
    }.get(subject, {})
    assert (
        errors(
            page,
            "limit",
            **{
                **LIMIT,
                "subject": subject,
                "metric": "cost",
                "amount": "12.500000000001",
                **member,
            },
        )
        == {}
    )
    limit = Limit.objects.get()
    assert (limit.amount, limit.threshold) == (Decimal("12.500000000001"), None)
    text = body(page, "limit")
    assert "12.500000000001" in text
    assert {"group": "team", "user": "boss", "key": "robot"}.get(subject, "") in text
    assert page.get(address("limit", "change", limit.pk)).status_code == 200


def test_a_limit_is_edited_and_deleted(page: Client) -> None:
    assert errors(page, "limit", **LIMIT) == {}
    limit = Limit.objects.get()
    page.post(address("limit", "change", limit.pk), {**LIMIT, "amount": "7", "threshold": "60"})
    limit.refresh_from_db()
    assert (limit.amount, limit.threshold) == (7, 60)
    page.post(address("limit", "delete", limit.pk), {"post": "yes"})
    assert not Limit.objects.exists()


# --- budgets -------------------------------------------------------------------------------------


def budget(**more: Any) -> Budget:
    now = datetime.now(UTC)
    fields = {
        "counter": f"c{Budget.objects.count()}",
        "starts_at": now,
        "ends_at": now + timedelta(days=1),
        "subject": "each_user",
    }
    return Budget.objects.create(
        **{**fields, "metric": "requests", "window": "day", "amount": 10, **more}
    )


def cells(text: str, name: str) -> list[str]:
    """The cells of a column of the list."""
    return [
        re.sub("<[^>]*>", "", cell).strip()
        for cell in re.findall(rf'<t[dh] class="field-{name}[^"]*">(.*?)</t[dh]>', text)
    ]


def test_the_list_shows_how_much_of_each_budget_is_used(page: Client) -> None:
    now = datetime.now(UTC)
    budget(used=3, reserved=2)
    budget(
        metric="cost", amount=12_500_000_000_000, used=11_000_000_000_001, lost=5, threshold_at=now
    )
    budget(amount=0, reached_at=now)
    budget(used=25, threshold_at=now, reached_at=now)
    text = body(page, "budget")
    assert cells(text, "shown_amount") == ["10", "0", "12.5", "10"]
    assert cells(text, "shown_used") == ["25", "0", "11.000000000001", "3"]
    assert cells(text, "shown_reserved") == ["0", "0", "0", "2"]
    assert cells(text, "shown_lost") == ["0", "0", "0.000000000005", "0"]
    assert cells(text, "level") == ["250 % ⚠", "100 %", "88 % ⚠", "30 %"]


@pytest.mark.parametrize(
    ("query", "used"),
    [
        ("?level=threshold", ["2"]),
        ("?level=reached", ["3"]),
        ("?metric__exact=cost", ["0.000000000004"]),
        ("?window__exact=lifetime", ["4000000000000"]),
        ("?q=group%3Aops", ["5"]),
    ],
)
def test_budgets_are_filtered_by_level_metric_window_and_subject(
    page: Client, query: str, used: list[str]
) -> None:
    now = datetime.now(UTC)
    budget(used=2, threshold_at=now)
    budget(used=3, reached_at=now)
    budget(used=4, metric="cost")
    budget(used=4 * 10**12, window="lifetime", ends_at=None)
    budget(used=5, subject="group:ops")
    assert cells(body(page, "budget", query), "shown_used") == used


def test_budgets_are_read_only(page: Client) -> None:
    row = budget(used=3)
    assert page.get(address("budget", "add")).status_code == 403
    shown = page.get(address("budget", "change", row.pk))
    assert shown.status_code == 200
    assert not re.search(
        r'<(input|textarea|select)[^>]*name="(used|amount|reserved)"', shown.content.decode()
    )
    for action in ("change", "delete"):
        assert (
            page.post(address("budget", action, row.pk), {"used": "0", "post": "yes"}).status_code
            == 403
        )
    row.refresh_from_db()
    assert row.used == 3


# --- model access --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "patterns"), [("", []), ("gpt-4o*\r\n\r\n  up/*  \n", ["gpt-4o*", "up/*"])]
)
def test_patterns_are_one_per_line(
    page: Client, group: Group, text: str, patterns: list[str]
) -> None:
    assert errors(page, "modelaccess", group=group.pk, patterns=text) == {}
    access = ModelAccess.objects.get()
    assert access.patterns == patterns
    assert ", ".join(patterns) in body(page, "modelaccess")
    assert (
        "\n".join(patterns)
        in page.get(address("modelaccess", "change", access.pk)).content.decode()
    )


@pytest.mark.parametrize("named", [(), ("user", "group")])
def test_access_needs_either_a_group_or_a_user(
    page: Client, boss: Any, group: Group, named: tuple[str, ...]
) -> None:
    fields = {name: {"user": boss.pk, "group": group.pk}[name] for name in named}
    assert errors(page, "modelaccess", **fields, patterns="*") == {
        "__all__": ["Select either a group or a user."]
    }
    assert not ModelAccess.objects.exists()


# --- who, and what is shown ----------------------------------------------------------------------


@pytest.mark.parametrize("model", LISTS)
def test_staff_without_permission_sees_nothing(client: Client, db: None, model: str) -> None:
    staff = get_user_model().objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(address(model)).status_code == 403
    assert client.get(address(model, "add")).status_code == 403
    assert address(model) not in client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("model", LISTS)
def test_staff_with_view_permission_cannot_change_anything(
    client: Client, db: None, model: str
) -> None:
    staff = get_user_model().objects.create_user("staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename=f"view_{model}"))
    client.force_login(staff)
    assert client.get(address(model)).status_code == 200
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "add"), {**LIMIT, "patterns": "*"}).status_code == 403


def test_names_with_html_are_shown_as_text(page: Client) -> None:
    user = get_user_model().objects.create_user(NASTY)
    group = Group.objects.create(name=NASTY)
    key = ApiKey.objects.create(owner=user, name=NASTY, prefix="nk_x", digest="d")
    for subject, member in (
        ("group", {"group": group}),
        ("user", {"user": user}),
        ("key", {"api_key": key}),
    ):
        Limit.objects.create(
            subject=subject, metric="requests", amount=1, window="day", pattern=NASTY, **member
        )
    ModelAccess.objects.create(group=group, patterns=[NASTY])
    row = budget(subject=f"user:{NASTY}", pattern=NASTY)
    pages = [body(page, model) for model in LISTS] + [
        page.get(address("budget", "change", row.pk)).content.decode()
    ]
    for text in pages:
        assert NASTY not in text
        assert "&lt;script&gt;" in text
