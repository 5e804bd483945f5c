"""HTTP calls to a site with limits, and queries of its database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests import waiting
from tests.fork_server import ForkedProcess, start_python
from tests.limits.conftest import CHAT, PROMPT_TOKENS
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until

COST = (PROMPT_TOKENS * Decimal("1.1") + 3 * Decimal("2.3")) / 1_000_000
"""USD of one call to `up`."""


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
def single_site(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any], **environment: str
) -> Iterator[Site]:
    """One process with SQLite."""
    folder = tmp_path_factory.mktemp("site")
    key = populate(environment_for(folder, {}, **environment))
    with running_site("uvicorn", folder, folder, key, settings, **environment) as site:
        try:
            yield site
        finally:
            stop_operator(site)


def call(site: Site, model: str, key: str = "", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or site.key}"}
    body = {"model": model, **CHAT, **more}
    return httpx.post(
        f"{site.url}/v1/chat/completions", headers=headers, json=body, timeout=60, trust_env=False
    )


@contextmanager
def running_call(site: Site, model: str, upstream: Upstream, status: int = 200) -> Iterator[None]:
    """A call that has reached the provider, in its own thread. It has ended after the block."""
    with ThreadPoolExecutor(1) as threads:
        calling = threads.submit(call, site, model)
        until(lambda: upstream.is_answering(model.partition("/")[2]), "the call to begin")
        yield
        assert calling.result().status_code == status


def get(site: Site, path: str, key: str = "") -> httpx.Response:
    return httpx.get(
        f"{site.url}/v1/{path}",
        headers={"authorization": f"Bearer {key or site.key}"},
        timeout=60,
        trust_env=False,
    )


def get_limits(site: Site, model: str, key: str = "") -> list[dict[str, Any]]:
    """The limits on `model` in `GET v1/usage`."""
    return [limit for limit in get(site, "usage", key).json()["limits"] if limit["models"] == model]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def limit_and_remaining(answer: httpx.Response, kind: str) -> tuple[str | None, str | None]:
    """The headers for the limit and what remains, of `requests` or `tokens`."""
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


def avoid_end_of_hour() -> None:
    """Wait if the hour would end during the test, on a machine that is busy."""
    waiting.avoid_end_of_window(3600, 60)


OPERATOR = """
import contextlib, io, json, sys
import django
django.setup()
for line in sys.stdin:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(json.loads(line), {})
    print(json.dumps(output.getvalue().strip()), flush=True)
"""
"""A process that runs the code it reads, like `manage.py shell`, but starts only once."""

_operators: dict[str, ForkedProcess] = {}


def run_in_site(site: Site, code: str) -> str:
    """Run Python in the site, in a process of its own, and return what it printed."""
    operator = _operators.get(site.url)
    if operator is None:
        operator = start_python(["-c", OPERATOR], site.environment, has_pipes=True)
        _operators[site.url] = operator
    operator.stdin.write(json.dumps(code) + "\n")
    operator.stdin.flush()
    return str(json.loads(operator.stdout.readline()))


def stop_operator(site: Site) -> None:
    operator = _operators.pop(site.url, None)
    if operator is not None:
        operator.finish()


def create_key(site: Site, owner: str, name: str, **values: Any) -> str:
    return run_in_site(
        site,
        "from django.contrib.auth.models import User; from native_api.access import keys; "
        f"owner = User.objects.get(username={owner!r}); "
        f"print(str(keys.create_key(owner, {name!r}, **{values!r})[1]))",
    )


def user_with_key(site: Site, name: str) -> str:
    """Create a user who is not a superuser. Returns the key."""
    run_in_site(
        site, f"from django.contrib.auth.models import User; User.objects.create_user({name!r})"
    )
    return create_key(site, name, f"of {name}")
