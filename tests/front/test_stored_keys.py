"""Rows whose key was stored under another SECRET_KEY, as a running server and its commands meet
them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fork_server import run_python
from tests.front.conftest import native_api
from tests.front.test_native_check import log_in, token
from tests.scripted_provider import Upstream, completion, says
from tests.servers import Site, environment_for, manage, running_site, until

STORED = "sk-stored-under-another-secret-key"
OTHER = {
    "SITE_SETTINGS": json.dumps(
        {"SECRET_KEY": "the site had another key once, and it was as long as Django wants it"}
    )
}
ROWS = """
from native_api.models import ModelRoute, Provider, Target
Provider.objects.create(name="lost", dialect="openai", base_url="{url}", api_key="{key}")
alone, both = (ModelRoute.objects.create(name=name) for name in ("lost", "both"))
for route, provider, priority in ((alone, "lost", 0), (both, "lost", 0), (both, "up", 1)):
    Target.objects.create(route=route, provider=provider, model="any", priority=priority)
"""


@pytest.fixture(scope="module")
def site_with_lost_key(
    template: tuple[Path, str], upstream: Upstream, tmp_path_factory: Any
) -> Iterator[Site]:
    folder, key = tmp_path_factory.mktemp("lost"), template[1]
    settings = native_api(upstream)
    (folder / "db.sqlite3").write_bytes((template[0] / "db.sqlite3").read_bytes())
    manage(
        environment_for(folder, settings, **OTHER),
        "shell",
        "-c",
        ROWS.format(url=upstream.url, key=STORED),
    )
    with running_site("uvicorn", folder, template[0], key, settings) as running:
        yield running


def ask(site: Site, model: str, **more: Any) -> httpx.Response:
    chat = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json=chat,
        timeout=60,
        trust_env=False,
    )


@pytest.fixture
def requests(upstream: Upstream) -> Any:
    """What reaches the provider in a test, which would be a call without credentials."""
    upstream.script("any", says(completion("Hello")))
    upstream.requests.clear()
    return upstream.requests


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["lost", "lost/any"])
def test_a_provider_whose_key_cannot_be_read_is_not_called(
    site_with_lost_key: Site, requests: Any, model: str, stream: bool
) -> None:
    answer = ask(site_with_lost_key, model, stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (
        503,
        "service_unavailable",
        "misconfigured",
    )
    assert answer.headers["x-should-retry"] == "false"
    assert not requests
    assert "SECRET_KEY" not in answer.text
    [record] = site_with_lost_key.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert (record["error_code"], record["attempts"]) == ("misconfigured", 0)


@pytest.mark.parametrize("stream", [False, True])
def test_another_target_serves_in_its_place(
    site_with_lost_key: Site, requests: Any, stream: bool
) -> None:
    answer = ask(site_with_lost_key, "both", stream=stream)
    assert (
        answer.status_code,
        answer.headers["x-native-provider"],
        answer.headers["x-native-attempts"],
    ) == (200, "up", "1")
    assert len(requests) == 1


def test_the_log_says_so_for_operators_and_not_with_every_call(
    site_with_lost_key: Site, requests: Any
) -> None:
    for _ in range(3):
        ask(site_with_lost_key, "lost")
    lines = [
        line["message"]
        for line in site_with_lost_key.log_lines()
        if "PROVIDERS['lost']" in line["message"]
    ]
    assert "its stored key cannot be read with this site's SECRET_KEY" in lines[0]
    assert len(lines) <= 2, "once, and perhaps a minute later"
    assert STORED not in site_with_lost_key.log()


def test_readiness_counts_it(site_with_lost_key: Site) -> None:
    ready = httpx.get(f"{site_with_lost_key.url}/health/ready", trust_env=False, timeout=60)
    providers = ready.json()["checks"]["providers"]
    assert (ready.status_code, providers["status"], providers["keys_unreadable"]) == (
        200,
        "degraded",
        1,
    )
    assert "lost" not in ready.text


def run(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python(["-m", "django", *arguments], site.environment)


def test_the_table_of_native_check_says_so(site_with_lost_key: Site, requests: Any) -> None:
    done = run(site_with_lost_key, "native_check", "lost")
    assert done.returncode == 1
    assert re.search(r"^lost/any .* its stored key cannot be read", done.stdout, re.MULTILINE), (
        done.stdout
    )
    assert STORED not in done.stdout + done.stderr
    assert not requests


def test_check_warns_and_migrate_goes_on(site_with_lost_key: Site) -> None:
    done = run(site_with_lost_key, "check")
    assert done.returncode == 0
    assert "native_api.W010" in done.stderr
    assert "'lost'" in done.stderr
    assert run(site_with_lost_key, "migrate").returncode == 0


@pytest.mark.parametrize(
    "database",
    [
        "sqlite:///{}/db.sqlite3",
        "sqlite:///{}/none/db.sqlite3",
        "postgres://nobody@127.0.0.1:9/none",
    ],
)
def test_check_needs_no_database_and_creates_none(
    site_with_lost_key: Site, tmp_path: Path, database: str
) -> None:
    manage(
        {**site_with_lost_key.environment, "TEST_DATABASE_URL": database.format(tmp_path)},
        "check",
        "--tag",
        "native_api",
    )
    assert not list(tmp_path.iterdir())


def test_the_admin_says_so_and_sends_nothing_when_it_tests_the_connection(
    site_with_lost_key: Site, requests: Any
) -> None:
    root = site_with_lost_key.url.removesuffix("/native")
    with httpx.Client(base_url=root, follow_redirects=True, trust_env=False, timeout=60) as browser:
        log_in(browser)
        listed = browser.get("/admin/native_api/provider/")
        assert "its stored key cannot be read" in listed.text
        [pk] = re.findall(r'name="_selected_action" value="(\d+)"', listed.text)
        assert (
            "its stored key cannot be read"
            in browser.get(f"/admin/native_api/provider/{pk}/change/").text
        )
        action = {"action": "test_connection", "_selected_action": pk}
        tested = browser.post("/admin/native_api/provider/", data={**action, **token(listed)}).text
    assert "its stored key cannot be read" in tested.replace("&#x27;", "'")
    assert not requests


def test_dumpdata_has_no_key(site_with_lost_key: Site) -> None:
    [row] = json.loads(manage(site_with_lost_key.environment, "dumpdata", "native_api.provider"))
    assert row["fields"]["api_key"].startswith("fernet:")


def test_a_key_works_again_once_the_secret_key_is_back_or_the_key_was_entered_again(
    site_with_lost_key: Site, requests: Any
) -> None:
    """Last in the module: it mends the row."""
    code = "from native_api.models import Provider; row = Provider.objects.get(); row.api_key = 'sk-again'; row.save()"
    assert STORED in manage(
        {**site_with_lost_key.environment, **OTHER}, "shell", "-c", f"{code.split(';')[0]}; {READ}"
    )
    manage(site_with_lost_key.environment, "shell", "-c", code)
    until(lambda: ask(site_with_lost_key, "lost").status_code == 200, "the key to be read")
    assert requests[-1].headers["authorization"] == "Bearer sk-again"


READ = "print(str(Provider.objects.get().read_api_key()))"


def test_a_key_is_not_sent_to_an_address_that_was_changed_behind_the_admins_back(
    site_with_lost_key: Site, requests: Any
) -> None:
    """By SQL, as whoever reaches the database can."""
    code = "from native_api.models import Provider; Provider.objects.update(base_url=Provider.objects.get().base_url + '/elsewhere')"
    manage(site_with_lost_key.environment, "shell", "-c", code)
    until(lambda: ask(site_with_lost_key, "lost").status_code == 503, "the change to be seen")
    assert not any("elsewhere" in received.path for received in requests)
