"""Which models a caller may use: what a key narrows, rows grant, and the site gives to everyone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.test import override_settings

from native_api.access import grants
from native_api.access.model_access import may_use, resolve_caller
from native_api.exceptions import DatabaseUnavailable
from native_api.limits import rules
from native_api.models import ModelAccess
from native_api.types import Caller
from native_api.types.model_names import Named

NONE = ("none",)
"""A DEFAULT_MODEL_ACCESS that tells grants from it apart."""


def named(name: str) -> Named:
    """As the catalog reads it: a route, or a provider's model."""
    provider, _, model = name.rpartition("/")
    return Named(name, provider, model if provider else "")


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        ((), "anything", True),
        (("gpt-4o*",), "gpt-4o-mini", True),
        (("gpt-4o*",), "GPT-4o", False),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("openai/*", "fast"), "openai/gpt-4o", True),
        (("openai/*", "fast"), "eu/fast", False),
    ],
)
def test_a_model_is_allowed_by_a_pattern_or_if_there_are_no_patterns(
    patterns: tuple[str, ...], model: str, allowed: bool
) -> None:
    assert may_use(Caller(allowed_models=patterns), named(model)) is allowed


@pytest.mark.parametrize(
    ("granted", "of_key", "model", "allowed"),
    [
        (None, (), "gpt-4o", True),
        (("gpt-*",), (), "gpt-4o", True),
        (("gpt-*",), (), "claude", False),
        (("gpt-*",), ("gpt-4o",), "gpt-4o", True),
        (("gpt-*",), ("gpt-4o",), "gpt-5", False),
        (("gpt-*",), ("*",), "claude", False),
        ((), (), "gpt-4o", False),
        ((), ("gpt-4o",), "gpt-4o", False),
        (None, ("gpt-4o",), "gpt-5", False),
    ],
)
def test_a_key_narrows_what_its_owner_may_use(
    granted: Any, of_key: tuple[str, ...], model: str, allowed: bool
) -> None:
    assert may_use(Caller(allowed_models=of_key, granted_models=granted), named(model)) is allowed


# --- what rows and permissions grant -------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    grants._cache.clear()
    rules.forget()
    yield
    grants._cache.clear()
    rules.forget()


@pytest.fixture
def alice(transactional_db: None) -> Any:
    return get_user_model().objects.create_user("alice")


def caller_of(user: Any) -> Caller:
    return asyncio.run(resolve_caller(Caller(user_id=user.pk, user_name="alice")))


def granted(user: Any) -> Any:
    """The patterns, sorted."""
    patterns = caller_of(user).granted_models
    return None if patterns is None else sorted(patterns)


def give(**told: Any) -> ModelAccess:
    return ModelAccess.objects.create(**told)


def every_model() -> Permission:
    return Permission.objects.get(codename="use_every_model")


@contextmanager
def defaults(*patterns: str) -> Iterator[None]:
    with override_settings(NATIVE_API={"DEFAULT_MODEL_ACCESS": patterns}):
        yield


def test_rows_of_the_user_and_of_all_groups_add_up(alice: Any) -> None:
    staff, interns, others = (
        Group.objects.create(name=name) for name in ("staff", "interns", "others")
    )
    alice.groups.set([staff, interns])
    give(user=alice, patterns=["a", "b"])
    give(group=staff, patterns=["c"])
    give(group=interns, patterns=[])
    give(group=others, patterns=["d"])
    assert granted(alice) == ["a", "b", "c"]
    assert set(caller_of(alice).groups) == {(staff.pk, "staff"), (interns.pk, "interns")}


def test_an_empty_row_grants_nothing_even_if_the_default_would(alice: Any) -> None:
    give(user=alice, patterns=[])
    assert granted(alice) == []


def test_a_user_without_rows_may_use_the_default(alice: Any) -> None:
    give(user=get_user_model().objects.create_user("bob"), patterns=["b"])
    with defaults("gpt-4o", "fast"):
        assert granted(alice) == ["fast", "gpt-4o"]


def test_the_default_is_not_added_to_rows(alice: Any) -> None:
    give(user=alice, patterns=["a"])
    with defaults("gpt-4o"):
        assert granted(alice) == ["a"]


def test_without_limits_or_rows_nothing_is_queried(alice: Any) -> None:
    caller = Caller(user_id=alice.pk)
    assert asyncio.run(resolve_caller(caller)) is caller
    assert grants._cache.fresh(alice.pk) is None


@pytest.mark.parametrize("way", ["user", "group", "superuser"])
def test_the_permission_grants_every_model_whatever_rows_say(alice: Any, way: str) -> None:
    staff = Group.objects.create(name="staff")
    alice.groups.add(staff)
    give(user=alice, patterns=["a"])
    if way == "user":
        alice.user_permissions.add(every_model())
    elif way == "group":
        staff.permissions.add(every_model())
    else:
        alice.is_superuser = True
        alice.save()
    assert granted(alice) is None
    assert caller_of(alice).groups == ((staff.pk, "staff"),)


def test_the_key_of_a_superuser_still_narrows(alice: Any) -> None:
    alice.is_superuser = True
    alice.save()
    give(user=alice, patterns=[])
    caller = replace(caller_of(alice), allowed_models=("gpt-4o",))
    assert may_use(caller, named("gpt-4o"))
    assert not may_use(caller, named("gpt-5"))


def test_a_caller_that_is_not_a_user_may_use_the_default(transactional_db: None) -> None:
    with defaults("gpt-4o"):
        assert asyncio.run(resolve_caller(Caller(key_id=1))).granted_models == ("gpt-4o",)


def test_a_deleted_user_may_use_nothing(alice: Any) -> None:
    known = Caller(user_id=alice.pk)
    alice.delete()
    with defaults("gpt-4o"):
        assert asyncio.run(resolve_caller(known)).granted_models == ()


def test_a_row_is_for_a_group_or_a_user(alice: Any) -> None:
    staff = Group.objects.create(name="staff")
    for told in ({}, {"group": staff, "user": alice}):
        with pytest.raises(ValidationError, match="Select either a group or a user"):
            ModelAccess(patterns=["a"], **told).full_clean()


# --- how fresh that is ---------------------------------------------------------------------------


def test_a_change_takes_effect_at_once_in_this_process(alice: Any) -> None:
    with defaults(*NONE):
        assert granted(alice) == ["none"]
        row = give(user=alice, patterns=["a"])
        assert granted(alice) == ["a"]
        row.delete()
        assert granted(alice) == ["none"]
        staff = Group.objects.create(name="staff")
        give(group=staff, patterns=["b"])
        assert granted(alice) == ["none"]
        alice.groups.add(staff)
        assert granted(alice) == ["b"]
        alice.groups.clear()
        assert granted(alice) == ["none"]


def test_a_change_by_another_process_takes_effect_within_five_seconds(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(user=alice, patterns=["a"])
    assert granted(alice) == ["a"]
    ModelAccess.objects.update(patterns=["b"])  # sends no signal, as another process does not
    assert granted(alice) == ["a"]
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 5)
    assert granted(alice) == ["b"]


def test_a_change_while_a_user_is_being_read_is_not_missed(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = give(user=alice, patterns=["a"])
    read = grants.read_grants

    def read_too_early(user_id: Any) -> grants.UserGrants:
        found = read(user_id)
        row.patterns = ["b"]
        row.save()
        return found

    monkeypatch.setattr(grants._cache, "_read", read_too_early)
    assert granted(alice) == ["a"]
    assert granted(alice) == ["b"]


@pytest.fixture
def database_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(user_id: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(grants._cache, "_read", fail)


def test_during_an_outage_cached_grants_stay_in_use(
    alice: Any, request: pytest.FixtureRequest
) -> None:
    give(user=alice, patterns=["a"])
    assert granted(alice) == ["a"]
    request.getfixturevalue("database_away")
    grants.invalidate()
    assert granted(alice) == ["a"]


def test_during_an_outage_an_uncached_user_gets_a_503(alice: Any, database_away: None) -> None:
    with defaults(*NONE), pytest.raises(DatabaseUnavailable) as caught:
        granted(alice)
    assert caught.value.headers == {"retry-after": "5"}
