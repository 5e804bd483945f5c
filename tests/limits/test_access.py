"""Which models a caller may use, by rows, permissions and the default. The list, the single model
and the call agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.limits.api_client import (
    call,
    create_key,
    error_of,
    get,
    run_in_site,
    single_site,
    user_with_key,
)
from tests.limits.conftest import native_api
from tests.scripted_provider import Upstream, says
from tests.servers import Site, until

NAMES = ("alpha", "beta", "gamma", "simple", "complex")
MODELS: dict[str, Any] = {
    name: {
        "TARGETS": [{"PROVIDER": "up", "MODEL": name}],
        "FALLBACKS": ["beta"] if name == "alpha" else [],
    }
    for name in NAMES
}
DIRECT = ("up/alpha", "up/other")
IMPORTS = (
    "from django.contrib.auth.models import User, Group, Permission; "
    "from native_api.models import ModelAccess; "
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    attempts = {"RETRIES": 0, "MAX": 2, "START_WITHIN": 5}
    settings = native_api(
        upstream, [], MODELS=MODELS, ATTEMPTS=attempts, DEFAULT_MODEL_ACCESS=["alpha", "up/alpha"]
    )
    with single_site(tmp_path_factory, settings) as running:
        yield running


@pytest.fixture(scope="module")
def keys(site: Site) -> dict[str, str]:
    """A key of each kind of caller."""
    run_in_site(site, IMPORTS + MAKE)
    made = {name: create_key(site, name, f"of {name}") for name in GRANTED if name != "narrowed"}
    narrowed = create_key(site, "grouped", "narrowed", allowed_models=["gamma", "alpha"])
    return {**made, "narrowed": narrowed, "superuser": site.key}


GRANTED: dict[str, set[str]] = {
    "nobody": {"alpha", "up/alpha"},
    "rowed": {"beta", "up/other"},
    "nothing": set(),
    "grouped": {"beta", "gamma"},
    "both": {"beta", "gamma", "simple", "alpha"},
    "permitted": {*NAMES, *DIRECT},
    "permitted_by_group": {*NAMES, *DIRECT},
    "narrowed": {"gamma"},
}
"""The models that each may use. `narrowed` is a key of `grouped` for gamma and alpha."""

MAKE = """
users = {name: User.objects.create_user(name) for name in
         ('nobody', 'rowed', 'nothing', 'grouped', 'both', 'permitted', 'permitted_by_group')}
team, all_models = Group.objects.create(name='team'), Group.objects.create(name='all models')
ModelAccess.objects.create(group=team, patterns=['beta', 'g*'])
ModelAccess.objects.create(user=users['rowed'], patterns=['beta', 'up/o*'])
ModelAccess.objects.create(user=users['nothing'], patterns=[])
ModelAccess.objects.create(user=users['both'], patterns=['simple'])
ModelAccess.objects.create(user=users['both'], patterns=['alpha'])
ModelAccess.objects.create(user=users['permitted'], patterns=[])
users['grouped'].groups.add(team); users['both'].groups.add(team)
every = Permission.objects.get(codename='use_every_model')
users['permitted'].user_permissions.add(every)
all_models.permissions.add(every); users['permitted_by_group'].groups.add(all_models)
"""


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.scripts.clear()


def listed(site: Site, key: str) -> set[str]:
    return {model["id"] for model in get(site, "models", key).json()["data"]}


@pytest.mark.parametrize("who", [*GRANTED, "superuser"])
def test_the_list_the_single_model_and_the_call_agree(
    site: Site, keys: dict[str, str], who: str
) -> None:
    key, granted = keys[who], GRANTED.get(who, {*NAMES, *DIRECT})
    assert listed(site, key) == granted & set(NAMES)
    for name in (*NAMES, *DIRECT):
        shown, answered = get(site, f"models/{name}", key), call(site, name, key)
        assert (name, shown.status_code, answered.status_code) == (
            name,
            *((200, 200) if name in granted else (404, 403)),
        )
        if name not in granted:
            assert error_of(shown)["code"] == "model_not_found"
            assert error_of(answered)["code"] == "model_not_allowed"


def test_a_forbidden_model_looks_like_an_unknown_one(site: Site, keys: dict[str, str]) -> None:
    def shape(name: str) -> tuple[Any, ...]:
        answers = get(site, f"models/{name}", keys["rowed"]), call(site, name, keys["rowed"])
        return tuple((answer.status_code, answer.text.replace(name, "MODEL")) for answer in answers)

    assert shape("gamma") == shape("never-was")


def test_access_to_a_requested_fallback_is_checked(site: Site, keys: dict[str, str]) -> None:
    refused = call(site, "beta", keys["rowed"], fallbacks=["gamma"])
    assert (refused.status_code, error_of(refused)["code"], error_of(refused)["param"]) == (
        403,
        "model_not_allowed",
        "fallbacks[0]",
    )


def test_a_forbidden_fallback_of_the_route_is_skipped(
    site: Site, keys: dict[str, str], upstream: Upstream
) -> None:
    upstream.script(
        "alpha", says({"error": {"message": "no such model", "code": "model_not_found"}}, 404)
    )
    seen = len(upstream.requests_for("beta"))
    assert call(site, "alpha", keys["nobody"]).status_code >= 400
    assert len(upstream.requests_for("beta")) == seen
    answered = call(site, "alpha", keys["both"])
    assert (answered.status_code, answered.headers["x-native-model"]) == (200, "beta")


def test_access_to_a_tier_is_access_to_its_route(site: Site, keys: dict[str, str]) -> None:
    assert (by_tier(site, keys["both"], "simple"), by_tier(site, keys["both"], "complex")) == (
        200,
        403,
    )
    assert by_tier(site, keys["permitted"], "complex") == 200


def by_tier(site: Site, key: str, tier: str) -> int:
    return call(site, tier, key, tier=tier).status_code


def test_a_change_takes_effect_in_a_running_site(site: Site) -> None:
    key, user = user_with_key(site, "changing"), "User.objects.get(username='changing')"
    assert listed(site, key) == {"alpha"}
    for code, expected in (
        (
            f"ModelAccess.objects.create(user={user}, patterns=['beta'])",
            {"beta"},
        ),
        (
            "ModelAccess.objects.filter(user__username='changing').update(patterns=['gamma'])",
            {"gamma"},
        ),
        (
            f"{user}.groups.add(Group.objects.get(name='all models'))",
            set(NAMES),
        ),
        ("Group.objects.get(name='all models').permissions.clear()", {"gamma"}),
        ("ModelAccess.objects.filter(user__username='changing').delete()", {"alpha"}),
    ):
        run_in_site(site, IMPORTS + code)
        until(lambda wanted=expected: listed(site, key) == wanted, code)
    assert call(site, "beta", key).status_code == 403


def test_the_first_row_of_a_site_takes_effect_while_it_runs(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    with single_site(tmp_path_factory, native_api(upstream, [], MODELS=MODELS)) as running:
        key = user_with_key(running, "bob")
        assert listed(running, key) == set(NAMES)
        run_in_site(
            running,
            IMPORTS + "user = User.objects.get(username='bob'); "
            "ModelAccess.objects.create(user=user, patterns=['beta'])",
        )
        until(lambda: call(running, "alpha", key).status_code == 403, "the row")
        assert listed(running, key) == {"beta"}
        assert listed(running, running.key) == set(NAMES)
