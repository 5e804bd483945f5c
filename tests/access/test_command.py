"""`manage.py native_key`, as a shell sees it."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from native_api.access.keys import create_key
from native_api.access.keys.cache import cache
from native_api.access.keys.text import Shape, parse
from native_api.exceptions import InvalidApiKey
from native_api.models import ApiKey
from tests.fork_server import run_python
from tests.servers import environment_for, make_template


def native_key(*arguments: str) -> tuple[str, str]:
    """What it writes on stdout and on stderr."""
    out, err = StringIO(), StringIO()
    call_command("native_key", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def only_key() -> ApiKey:
    return ApiKey.objects.get()


def test_a_shell_can_capture_the_key_and_nothing_else(tmp_path: Path) -> None:
    make_template(tmp_path)
    done = run_python(
        ["-m", "django", "native_key", "create", "alice", "--name", "shell"],
        environment_for(tmp_path, {}),
    )
    assert done.returncode == 0, done.stderr
    assert parse(done.stdout.removesuffix("\n")) is Shape.KEY
    assert done.stdout.strip() not in done.stderr


def test_create_stores_the_options_and_the_key_works(alice: Any) -> None:
    out, _ = native_key(
        "create",
        "alice",
        "--name",
        "ci",
        "--expires",
        "90d",
        "--models",
        "gpt-4o*, claude-*",
        "--throttle-rate",
        "60/m",
    )
    key = cache.get(out.strip())
    assert (key.owner, key.name, key.allowed_models, key.throttle_rate) == (
        alice,
        "ci",
        ["gpt-4o*", "claude-*"],
        "60/m",
    )
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - timezone.now() <= timedelta(days=90)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2999-01-31", "2999-01-31T00:00:00+00:00"),
        ("2999-01-31T12:00:00+02:00", "2999-01-31T10:00:00+00:00"),
        ("2999-01-31 12:00", "2999-01-31T12:00:00+00:00"),
    ],
)
def test_expiry_can_be_a_day_or_a_time(alice: Any, written: str, meant: str) -> None:
    with override_settings(TIME_ZONE="UTC"):
        native_key("create", "alice", "--name", "k", "--expires", written)
    expires_at = only_key().expires_at
    assert expires_at is not None
    assert expires_at.isoformat() == meant


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "bob", "--name", "k"], "There is no user 'bob'."),
        (["create", "alice", "--name", "k", "--expires", "soon"], "'soon' is not a valid time"),
        (["create", "alice", "--name", "k", "--expires", "9999999999d"], "is not a valid time"),
        (["create", "alice", "--name", "k", "--expires", "2026-13-41"], "is not a valid time"),
        (["create", "alice", "--name", "k", "--expires", "2001-01-01"], "is in the past"),
        (
            ["create", "alice", "--name", "k", "--throttle-rate", "60/min"],
            "--throttle-rate: 60/min is not a valid rate",
        ),
        (["create", "alice", "--name", "x" * 101], "--name: "),
        (["create", "alice", "--name", " "], "--name: "),
        (["list", "--user", "bob"], "There is no user 'bob'."),
        (["revoke", "nk_"], "More than one key starts with 'nk_'"),
        (["revoke", ""], "No key starts with ''"),
        (
            ["rotate", "nk_nowhere"],
            "No key starts with 'nk_nowhere'. 'native_key list' shows the prefixes.",
        ),
    ],
)
def test_an_error_is_explained_and_changes_nothing(
    alice: Any, arguments: list[str], words: str
) -> None:
    for name in ("one", "two"):
        create_key(alice, name)
    with pytest.raises(CommandError) as refused:
        native_key(*arguments)
    assert words in str(refused.value)
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


def test_the_list_is_a_table_without_secrets(alice: Any) -> None:
    for name in ("mobile", "bell\x07\x1b[2J"):
        create_key(alice, name)
    native_key("revoke", ApiKey.objects.get(name="mobile").prefix)
    out, _ = native_key("list", "--user", "alice")
    header, *rows = out.splitlines()
    assert header.split("  ")[0] == "PREFIX"
    assert len({row.index("alice") for row in rows} | {header.index("OWNER")}) == 1
    assert re.search(
        r"mobile +alice +\d{4}-\d\d-\d\d \d\d:\d\d +never +revoked$", out, re.MULTILINE
    )
    assert out.replace("\n", "").isprintable()
    assert not any(key.digest in out for key in ApiKey.objects.all())


def test_revoke_disables_the_key_and_may_be_repeated(alice: Any) -> None:
    key, text = create_key(alice, "k")
    out, err = native_key("revoke", key.prefix[:6])
    assert (out, err) == ("", f"{key.prefix} is revoked.\n")
    with pytest.raises(InvalidApiKey):
        cache.get(text)
    assert native_key("revoke", key.prefix) == ("", f"{key.prefix} was already revoked.\n")


def test_a_leaked_key_can_be_revoked_by_its_text(alice: Any) -> None:
    _, text = create_key(alice, "k")
    native_key("revoke", text)
    assert only_key().state == "revoked"


def test_rotate_prints_the_new_key_and_keeps_the_settings(alice: Any) -> None:
    key, old = create_key(alice, "k", throttle_rate="5/m")
    out, err = native_key("rotate", key.prefix)
    new = cache.get(out.strip())
    assert (new.pk, new.throttle_rate) == (key.pk, "5/m")
    assert err == f"{key.prefix} is now {new.prefix}.\n"
    with pytest.raises(InvalidApiKey):
        cache.get(old)


def test_a_revoked_key_is_not_rotated_back_to_life(alice: Any) -> None:
    key, _ = create_key(alice, "k")
    native_key("revoke", key.prefix)
    with pytest.raises(CommandError, match=r"is revoked. Create a new key instead."):
        native_key("rotate", key.prefix)


def test_a_key_for_an_inactive_user_comes_with_a_note(alice: Any) -> None:
    alice.is_active = False
    alice.save()
    out, err = native_key("create", "alice", "--name", "k")
    assert parse(out.strip()) is Shape.KEY
    assert "alice is not active" in err


def test_a_site_without_time_zones_stores_naive_times(alice: Any) -> None:
    with override_settings(USE_TZ=False):
        native_key("create", "alice", "--name", "k", "--expires", "2999-01-31T12:00:00Z")
        expires_at = only_key().expires_at
    assert expires_at is not None
    assert timezone.is_naive(expires_at)
