"""A site's own synchronous authentication, permission and throttle classes, under ASGI and WSGI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dj_database_url
import httpx
import pytest

from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.usage.conftest import empty_postgres, session_count

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}

CLASSES = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "native_api.authentication.ApiKeyAuthentication",
        "tests.front.policies.NameAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "tests.front.policies.NotOnFridays",
        "tests.front.policies.Broken",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["tests.front.policies.Stricter", "tests.front.policies.ThreeADay"],
}


@pytest.fixture(scope="module", params=["uvicorn", "uvicorn-django", "gunicorn"])
def policed(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    settings = native_api(upstream, **CLASSES)
    with serve(request.param, settings, DEBUG="1") as running:
        yield running


def call(site: Site, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        json=CHAT,
        headers=headers,
        trust_env=False,
        timeout=60,
    )


BY_SESSION = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "native_api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
}


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_a_class_that_looks_at_what_middleware_found_finds_it(
    kind: str, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    settings = native_api(
        upstream, DEFAULT_AUTHENTICATION_CLASSES=["tests.front.policies.OfTheMiddleware"]
    )
    with (
        running_site(kind, tmp_path, folder, key, settings) as site,
        httpx.Client(trust_env=False, timeout=60) as browser,
    ):
        url = f"{site.url}/v1/models"
        assert browser.get(url).status_code == 401
        log_in(browser, site)
        assert browser.get(url).status_code == 200


def log_in(browser: httpx.Client, site: Site) -> None:
    url = f"{site.url.removesuffix('/native')}/admin/login/"
    form = {
        "username": "alice",
        "password": "alice",
        "csrfmiddlewaretoken": browser.get(url).cookies["csrftoken"],
    }
    assert browser.post(url, data=form).status_code == 302


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_a_session_of_the_sites_can_stand_beside_keys(
    kind: str, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    settings = native_api(upstream, **BY_SESSION)
    with (
        running_site(kind, tmp_path, folder, key, settings) as site,
        httpx.Client(trust_env=False, timeout=60) as browser,
    ):
        url = f"{site.url}/v1/chat/completions"
        assert browser.post(url, json=CHAT).status_code == 401
        log_in(browser, site)
        forged = browser.post(url, json=CHAT)
        assert (forged.status_code, forged.json()["error"]["type"]) == (403, "permission_error")
        answer = browser.post(url, json=CHAT, headers={"x-csrftoken": browser.cookies["csrftoken"]})
        assert answer.status_code == 200
        [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
        assert (record["user_name"], record["api_key_name"]) == ("alice", "")
        assert call(site, **site.headers).status_code == 200


def test_synchronous_classes_leave_no_connection_open(upstream: Upstream, tmp_path: Path) -> None:
    """However long the site keeps connections."""
    classes = {"DEFAULT_AUTHENTICATION_CLASSES": ["tests.front.policies.NameAuthentication"]}
    with empty_postgres() as url:
        key = populate(environment_for(tmp_path, {}, TEST_DATABASE_URL=url))
        kept = {"default": {**dj_database_url.parse(url), "CONN_MAX_AGE": 600}}
        more = {"TEST_DATABASE_URL": url, "SITE_SETTINGS": json.dumps({"DATABASES": kept})}
        settings = native_api(upstream, **classes)
        with (
            running_site("uvicorn", tmp_path, tmp_path, key, settings, **more) as site,
            ThreadPoolExecutor(8) as clients,
        ):
            answers = clients.map(lambda _: call(site, authorization="Name alice"), range(24))
            assert {answer.status_code for answer in answers} == {200}
            until(lambda: session_count(url) <= 1, "connections to be closed")


def test_the_sites_users_are_known_without_a_key(policed: Site) -> None:
    answer = call(policed, authorization="Name alice")
    assert answer.status_code == 200
    [record] = policed.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert (record["user_name"], record["api_key_id"], record["api_key_name"]) == (
        "alice",
        None,
        "",
    )


def test_keys_work_beside_them(policed: Site) -> None:
    assert call(policed, **policed.headers).status_code == 200


def test_a_user_that_is_refused_gets_the_envelope(policed: Site) -> None:
    answer = call(policed, authorization="Name mallory")
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer.json()["error"]["message"] == "There is no such user."


def test_a_permission_that_is_refused_says_why(policed: Site) -> None:
    answer = call(policed, authorization="Name alice", **{"x-friday": "1"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "Not with that header.")


def test_a_class_that_fails_tells_the_log_and_not_the_client(policed: Site) -> None:
    answer = call(
        policed,
        authorization="Name alice",
        **{"x-broken": "1", "x-request-id": f"broken-{policed.kind}"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "sk-of-the-site" not in answer.text
    [line] = [line for line in policed.log_lines() if "exception" in line]
    assert (line["request_id"], line["level"]) == (f"broken-{policed.kind}", "error")
    assert "RuntimeError" in line["exception"]


def test_a_subclass_that_overrides_only_the_synchronous_method_is_obeyed(policed: Site) -> None:
    assert call(policed, authorization="Name alice", **{"x-stricter": "1"}).status_code == 429


def test_a_throttle_of_the_sites_is_obeyed(policed: Site) -> None:
    answers = [call(policed, authorization="Name alice", **{"x-counted": "1"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
