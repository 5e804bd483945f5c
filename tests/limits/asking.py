"""Calls over HTTP to a site with limits, and what its database says of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.limits.conftest import CHAT, PROMPT_TOKENS
from tests.servers import Site, environment_for, manage, populate, running_site, until
from tests.upstream import Upstream

COST = (PROMPT_TOKENS * Decimal("1.1") + 3 * Decimal("2.3")) / 1_000_000
"""USD of one call to `up`."""

SECONDS = {"second": 1, "minute": 60, "hour": 3600}


def limit(model: str, metric: str, amount: Any, window: str = "", subject: str = "each_user", **more: Any) -> dict[str, Any]:
    """An entry of LIMITS for the models `up/MODEL`."""
    return {"SUBJECT": subject, "METRIC": metric, "AMOUNT": amount, "WINDOW": window, "MODELS": f"up/{model}", **more}


@contextmanager
def one_site(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any], **environment: str) -> Iterator[Site]:
    """One process with SQLite."""
    folder = tmp_path_factory.mktemp("site")
    key = populate(environment_for(folder, {}, **environment))
    with running_site("uvicorn", folder, folder, key, settings, **environment) as site:
        yield site


def call(site: Site, model: str, key: str = "", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or site.key}"}
    body = {"model": model, **CHAT, **more}
    return httpx.post(f"{site.url}/v1/chat/completions", headers=headers, json=body, timeout=40, trust_env=False)


@contextmanager
def begun(site: Site, model: str, upstream: Upstream, status: int = 200) -> Iterator[None]:
    """A call in a thread of its own that the provider has got; it is over at the end of the block."""
    with ThreadPoolExecutor(1) as threads:
        calling = threads.submit(call, site, model)
        until(lambda: upstream.talking(model.partition("/")[2]), "the call to begin")
        yield
        assert calling.result().status_code == status


def get(site: Site, path: str, key: str = "") -> httpx.Response:
    return httpx.get(f"{site.url}/v1/{path}", headers={"authorization": f"Bearer {key or site.key}"}, timeout=30, trust_env=False)


def limits_of(site: Site, model: str, key: str = "") -> list[dict[str, Any]]:
    """What v1/usage says of the limits on `model`."""
    return [limit for limit in get(site, "usage", key).json()["limits"] if limit["models"] == model]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def standing_in(answer: httpx.Response, kind: str) -> tuple[str | None, str | None]:
    """The limit and what remains, of `requests` or `tokens`."""
    return answer.headers.get(f"x-ratelimit-limit-{kind}"), answer.headers.get(f"x-ratelimit-remaining-{kind}")


def budget(site: Site, model: str) -> tuple[int, int]:
    """Units used and reserved of the budgets for `model`."""
    [(used, reserved)] = site.rows("SELECT sum(used), sum(reserved) FROM native_api_budget WHERE pattern = ?", model)
    return used, reserved


def units(cost: Decimal) -> int:
    return int(cost * 10**12)


def away_from_the_end_of(window: str, seconds: float = 10.0) -> None:
    """So that the window does not change in the middle of a test."""
    length = SECONDS.get(window, 86400)
    left = length - time.time() % length
    if left < min(seconds, length * 0.7):
        time.sleep(left)


def shell(site: Site, code: str) -> str:
    """Run Python in the site, in a process of its own, as an operator does."""
    return manage(site.environment, "shell", "--verbosity", "0", "-c", code)


def user_with_key(site: Site, name: str) -> str:
    """A new user that is no superuser. Returns the key."""
    shell(site, f"from django.contrib.auth.models import User; User.objects.create_user({name!r})")
    return manage(site.environment, "native_key", "create", name, "--name", f"of {name}")
