"""`manage.py native_check` and the admin's "test connection", at scripted providers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fork_server import run_python
from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream, completion, says, stalls
from tests.servers import Site, environment_for

MODELS = ("good", "no-key", "no-model", "slow", "broken")
KEY_QUOTED = {
    "error": {
        "message": "Incorrect API key provided: sk-upstream-secret",
        "code": "invalid_api_key",
    }
}


@pytest.fixture(scope="module")
def models(upstream: Upstream) -> dict[str, Any]:
    upstream.script("good", says(completion("OK")))
    upstream.script("no-key", says(KEY_QUOTED, 401))
    upstream.script(
        "no-model",
        says({"error": {"message": "The model does not exist", "code": "model_not_found"}}, 404),
    )
    upstream.script("slow", stalls)
    upstream.script("broken", says(b"<html>", 500, {"content-type": "text/html"}))
    price = {"INPUT": "0.15", "OUTPUT": "0.60"}
    routes = {
        name: {"TARGETS": [{"PROVIDER": "up", "MODEL": name, "PRICE": price}]} for name in MODELS
    }
    routes["slow"]["TARGETS"][0]["TIMEOUTS"] = {"FIRST_TOKEN": 1, "TOTAL": 1}
    return {**routes, "unreachable": {"TARGETS": [{"PROVIDER": "dead", "MODEL": "any"}]}}


@pytest.fixture(scope="module")
def checked_site(
    template: tuple[Path, str], upstream: Upstream, models: Any, serve: Serve
) -> Iterator[Site]:
    with serve("uvicorn", native_api(upstream, MODELS=models)) as site:
        yield site


def check(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python(["-m", "django", "native_check", *arguments], site.environment)


def test_every_target_is_called_once_and_told_about(checked_site: Site, upstream: Upstream) -> None:
    upstream.requests.clear()
    done = check(checked_site, "--timeout", "1.5")
    rows = {
        line.split()[0]: re.split(r"\s{2,}", line)[1:4] for line in done.stdout.splitlines()[1:]
    }
    assert rows == {
        "up/good": ["yes", "yes", "yes"],
        "up/no-key": ["yes", "no", "?"],
        "up/no-model": ["yes", "yes", "no"],
        "up/slow": ["no", "?", "?"],
        "up/broken": ["yes", "?", "?"],
        "dead/any": ["no", "?", "?"],
    }
    assert re.search(r"up/good .* \d+ ms +\$0\.00000315$", done.stdout, re.MULTILINE), (
        "9 tokens in, 3 out"
    )
    assert sorted(received.body["model"] for received in upstream.requests) == sorted(MODELS)
    assert done.returncode == 1
    assert "5 of 6 targets cannot be used" in done.stderr
    assert "sk-" not in done.stdout + done.stderr


def test_what_it_cost_is_on_record(checked_site: Site) -> None:
    check(checked_site, "good")
    record = checked_site.wait_for_usage(endpoint="check", model="up/good")[-1]
    assert (record["user_name"], record["status"], record["attempts"], record["prompt_tokens"]) == (
        "native_check",
        "ok",
        1,
        9,
    )
    assert Decimal(str(record["cost"])) == Decimal("0.00000315")
    assert json.loads(record["price"]) == {"INPUT": "0.15", "OUTPUT": "0.60"}


def test_one_good_model_is_success(checked_site: Site) -> None:
    done = check(checked_site, "good", "echo/echo")
    assert (done.returncode, "cannot be used" in done.stderr) == (0, False)


def test_nothing_to_check_is_no_success(
    template: tuple[Path, str], checked_site: Site, tmp_path: Path
) -> None:
    environment = {
        **checked_site.environment,
        "NATIVE_API": environment_for(tmp_path, {"PROVIDERS": {"echo": {}}})["NATIVE_API"],
    }
    done = run_python(["-m", "django", "native_check"], environment)
    assert done.returncode == 1
    assert "no model uses them: echo" in done.stderr
    assert check(checked_site, "nobody/knows").returncode == 1


def test_the_admin_tests_connections(checked_site: Site, upstream: Upstream) -> None:
    """As an operator in a browser does it, on a server whose engine is at work."""
    with httpx.Client(
        base_url=checked_site.url.removesuffix("/native"),
        follow_redirects=True,
        trust_env=False,
        timeout=60,
    ) as browser:
        log_in(browser)
        add = browser.get("/admin/native_api/provider/add/")
        row = {
            "name": "row",
            "dialect": "openai",
            "base_url": upstream.url,
            "new_api_key": "sk-row-secret",
            "headers": "{}",
            "options": "{}",
        }
        browser.post(
            "/admin/native_api/provider/add/",
            data={**row, "price": "{}", "enabled": "on", **token(add)},
        )
        listed = browser.get("/admin/native_api/provider/")
        [pk] = re.findall(r'name="_selected_action" value="(\d+)"', listed.text)
        action = {"action": "test_connection", "_selected_action": pk}
        assert (
            "no target to call"
            in browser.post("/admin/native_api/provider/", data={**action, **token(listed)}).text
        )
        route = {
            "name": "by-row",
            "enabled": "on",
            "targets-TOTAL_FORMS": "2",
            "targets-INITIAL_FORMS": "0",
        }
        for position, model in enumerate(("good", "no-model")):
            target = {
                "provider": "row",
                "model": model,
                "priority": "0",
                "weight": "1",
                "price": "{}",
                "enabled": "on",
            }
            route |= {f"targets-{position}-{name}": value for name, value in target.items()}
        browser.post(
            "/admin/native_api/modelroute/add/",
            data={**route, **token(browser.get("/admin/native_api/modelroute/add/"))},
        )
        page = browser.post("/admin/native_api/provider/", data={**action, **token(listed)}).text
    assert re.search(r"row/good</th>\s*<td>yes</td><td>yes</td><td>yes</td>", page)
    assert re.search(r"row/no-model</th>\s*<td>yes</td><td>yes</td><td>no</td>", page)
    assert "sk-row-secret" not in page


def log_in(browser: httpx.Client) -> None:
    page = browser.get("/admin/login/")
    browser.post(
        "/admin/login/",
        data={"username": "alice", "password": "alice", "next": "/admin/", **token(page)},
    )


def token(page: httpx.Response) -> dict[str, str]:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found, page.text[:500]
    return {"csrfmiddlewaretoken": found[1]}
