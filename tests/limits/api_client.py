"""Calls over HTTP to a site with limits, and what its database says of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.limits.conftest import CHAT, PROMPT_TOKENS
from tests.scripted_provider import Upstream
from tests.servers import ROOT, Site, environment_for, populate, running_site, until

COST = (PROMPT_TOKENS * Decimal("1.1") + 3 * Decimal("2.3")) / 1_000_000
"""USD of one call to `up`."""

SECONDS = {"second": 1, "minute": 60, "hour": 3600}


def limit(
    model: str, metric: str, amount: Any, window: str = "", subject: str = "each_user", **more: Any
) -> dict[str, Any]:
    """An entry of LIMITS for the models `up/MODEL`."""
    return {
        "SUBJECT": subject,
        "METRIC": metric,
        "AMOUNT": amount,
        "WINDOW": window,
        "MODELS": f"up/{model}",
        **more,
    }


@contextmanager
def one_site(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any], **environment: str
) -> Iterator[Site]:
    """One process with SQLite."""
    folder = tmp_path_factory.mktemp("site")
    key = populate(environment_for(folder, {}, **environment))
    with running_site("uvicorn", folder, folder, key, settings, **environment) as site:
        try:
            yield site
        finally:
            dismiss_operator(site)


def call(site: Site, model: str, key: str = "", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or site.key}"}
    body = {"model": model, **CHAT, **more}
    return httpx.post(
        f"{site.url}/v1/chat/completions", headers=headers, json=body, timeout=40, trust_env=False
    )


@contextmanager
def begun(site: Site, model: str, upstream: Upstream, status: int = 200) -> Iterator[None]:
    """A call in a thread of its own that the provider has got; it is over at the end of the
    block."""
    with ThreadPoolExecutor(1) as threads:
        calling = threads.submit(call, site, model)
        until(lambda: upstream.talking(model.partition("/")[2]), "the call to begin")
        yield
        assert calling.result().status_code == status


def get(site: Site, path: str, key: str = "") -> httpx.Response:
    return httpx.get(
        f"{site.url}/v1/{path}",
        headers={"authorization": f"Bearer {key or site.key}"},
        timeout=30,
        trust_env=False,
    )


def limits_of(site: Site, model: str, key: str = "") -> list[dict[str, Any]]:
    """What v1/usage says of the limits on `model`."""
    return [limit for limit in get(site, "usage", key).json()["limits"] if limit["models"] == model]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def standing_in(answer: httpx.Response, kind: str) -> tuple[str | None, str | None]:
    """The limit and what remains, of `requests` or `tokens`."""
    return answer.headers.get(f"x-ratelimit-limit-{kind}"), answer.headers.get(
        f"x-ratelimit-remaining-{kind}"
    )


def budget(site: Site, model: str) -> tuple[int, int]:
    """Units used and reserved of the budgets for `model`."""
    [(used, reserved)] = site.rows(
        "SELECT sum(used), sum(reserved) FROM native_api_budget WHERE pattern = ?", model
    )
    return used, reserved


def units(cost: Decimal) -> int:
    return int(cost * 10**12)


def away_from_the_end_of(window: str, seconds: float = 10.0) -> None:
    """So that the window does not change in the middle of a test."""
    length = SECONDS.get(window, 86400)
    left = length - time.time() % length
    if left < min(seconds, length * 0.7):
        time.sleep(left)


OPERATOR = """
import contextlib, io, json, sys
import django
django.setup()
for line in sys.stdin:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(json.loads(line), {})
    print(json.dumps(said.getvalue().strip()), flush=True)
"""
"""A process that runs what it is told, as `manage.py shell` does for operators, without starting
anew each time."""

_operators: dict[str, subprocess.Popen[str]] = {}


def shell(site: Site, code: str) -> str:
    """Run Python in the site, in a process beside the server's; what it printed."""
    operator = _operators.get(site.url)
    if operator is None:
        command = [sys.executable, "-c", OPERATOR]
        operator = subprocess.Popen(
            command,
            env=site.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        _operators[site.url] = operator
    assert operator.stdin
    assert operator.stdout
    operator.stdin.write(json.dumps(code) + "\n")
    operator.stdin.flush()
    return str(json.loads(operator.stdout.readline()))


def dismiss_operator(site: Site) -> None:
    operator = _operators.pop(site.url, None)
    if operator is not None:
        operator.communicate()


def create_key(site: Site, owner: str, name: str, **values: Any) -> str:
    return shell(
        site,
        "from django.contrib.auth.models import User; from native_api.access import keys; "
        f"print(str(keys.create_key(User.objects.get(username={owner!r}), {name!r}, **{values!r})[1]))",
    )


def user_with_key(site: Site, name: str) -> str:
    """A new user that is no superuser. Returns the key."""
    shell(site, f"from django.contrib.auth.models import User; User.objects.create_user({name!r})")
    return create_key(site, name, f"of {name}")
