"""Checks of limits that apply to nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, Warning, register

from native_api.checks.rows import read_or_none
from native_api.conf import setting_path, usable_settings
from native_api.limits.rules import Rule, parse_rule
from native_api.models import Limit


@register("native_api")
def check_limits_of_nobody(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Warnings, since somebody may be created later, and since rows say who there is."""
    for path, reason in read_or_none(Limit, lambda: [*_of_settings(), *_of_rows()]) or ():
        yield Warning(
            f"{path}: {reason}, so the limit applies to nobody.",
            hint="Correct the limit, or remove it.",
            id="native_api.W020",
        )


def _of_settings() -> Iterator[tuple[str, str]]:
    """Where the limit is, and why it applies to nobody."""
    if usable_settings.CALLER:  # it may name users and groups that have no row
        return
    for index, rule in enumerate(map(parse_rule, usable_settings.LIMITS)):
        if rule.subject in ("group", "user") and not _has_member(rule):
            path = setting_path("LIMITS", index)
            yield path, f"there is no {rule.subject} {str(rule.member)!r}"


def _has_member(rule: Rule) -> bool:
    if rule.subject == "group":
        return Group.objects.filter(name=rule.member).exists()
    user_model = get_user_model()
    return user_model._base_manager.filter(**{user_model.USERNAME_FIELD: rule.member}).exists()


def _of_rows() -> Iterator[tuple[str, str]]:
    """Such as one that was not made in the admin, which refuses it."""
    for field, subject in (("group", "group"), ("user", "user"), ("api_key", "key")):
        for row in Limit.objects.filter(enabled=True, subject=subject, **{field: None}):
            yield f"The limit {row.pk} of the database", f"it is for a {subject}, and names none"
