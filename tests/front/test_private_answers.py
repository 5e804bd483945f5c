"""No answer is kept by a cache: each says so, whoever writes it, and Django's per-site cache in
front of the app serves none to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.middleware.cache import UpdateCacheMiddleware
from django.test import RequestFactory, override_settings

from native_api.asgi.handler import _in_envelope
from native_api.inbound import headers
from native_api.views import bad_request, not_found, server_error
from native_api.views.private_api import keep_out_of_caches
from tests.front.conftest import Serve, native_api
from tests.front.test_errors import CHAT, PATH
from tests.front.test_same_everywhere import CHAT as CALL
from tests.front.test_same_everywhere import JSON, REQUESTS, ask
from tests.scripted_provider import Upstream
from tests.servers import Site, manage, running_site, until

CALLERS = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "origin"}
MORE: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "usage": ("GET", "/v1/usage", {}, None),
    "wrong days": ("GET", "/v1/usage?days=x", {}, None),
    "ready": ("GET", "/health/ready", {}, None),
    "ready, head": ("HEAD", "/health/ready", {}, None),
    "no such way to be alive": ("POST", "/health/live", {}, None),
    "a query that is not UTF-8": ("GET", "/v1/models?%FF", {}, None),
    "a failing provider": ("POST", PATH, JSON, CALL.replace(b"hello", b"dead/any")),
}
ALL = {**REQUESTS, **MORE}
CACHED = {
    "MIDDLEWARE": [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    "CACHE_MIDDLEWARE_SECONDS": 600,
}
KINDS = ["uvicorn", "uvicorn-django", "gunicorn"]


def vary_of(answer: Any) -> set[str]:
    return {name.strip().lower() for name in answer.headers["vary"].split(",")}


def is_private(answer: httpx.Response, cache_control: str = "no-store") -> None:
    assert answer.headers["cache-control"] == cache_control
    assert vary_of(answer) >= CALLERS
    assert "etag" not in answer.headers
    assert "expires" not in answer.headers


# --- what every answer says ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("with_key", [True, False], ids=["with a key", "without"])
def test_every_answer_says_that_it_is_private(site: Site, name: str, with_key: bool) -> None:
    is_private(ask(site, *ALL[name], with_key))


def test_a_wrong_key_is_not_remembered_either(site: Site) -> None:
    wrong = {"authorization": f"Bearer {site.key}x"}
    is_private(httpx.get(f"{site.url}/v1/models", headers=wrong, trust_env=False, timeout=60))


@pytest.mark.parametrize("model", ["hello", "up/streamed", "echo/any"])
def test_streams_say_so_too(site: Site, model: str) -> None:
    with httpx.stream(
        "POST",
        f"{site.url}{PATH}",
        json={**CHAT, "model": model, "stream": True},
        headers=site.headers,
        trust_env=False,
        timeout=60,
    ) as answer:
        is_private(answer, "no-cache, no-store")
        assert answer.read().endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("page", [not_found, bad_request, server_error])
def test_error_pages_of_a_project_say_so(rf: RequestFactory, page: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.site_urls"
    response = page(rf.get("/x")) if page is server_error else page(rf.get("/x"), ValueError())
    assert (response.headers["cache-control"], vary_of(response)) == ("no-store", CALLERS)


@pytest.mark.parametrize("status", [400, 413])
def test_refusals_of_requests_that_django_cannot_read_say_so(status: int) -> None:
    response = _in_envelope(HttpResponse(status=status), {"path": "/native/v1/x", "headers": []})
    assert (response.status_code, response.headers["cache-control"], vary_of(response)) == (
        status,
        "no-store",
        CALLERS,
    )


# --- how the headers are made --------------------------------------------------------------------


class TeamToken:
    """An authentication class of a site's, which reads a header of its own."""

    credential_headers = ("X-Team-Token",)


def test_a_vary_that_a_response_has_is_kept() -> None:
    response = HttpResponse(
        headers={"Vary": "Accept-Language, cookie", "Cache-Control": "max-age=60"}
    )
    headers.make_private(response)
    assert response.headers["vary"].startswith("Accept-Language, cookie, ")
    assert vary_of(response) == CALLERS | {"accept-language"}
    assert response.headers["cache-control"] == "no-store"


def test_a_vary_on_everything_stays_one() -> None:
    response = HttpResponse(headers={"Vary": "*"})
    headers.make_private(response)
    assert response.headers["vary"] == "*"


def test_a_header_that_a_class_of_the_sites_declares_is_among_them() -> None:
    response = HttpResponse()
    headers.make_private(response, [TeamToken()])
    assert vary_of(response) == CALLERS | {"x-team-token"}
    with override_settings(NATIVE_API={"DEFAULT_AUTHENTICATION_CLASSES": [TeamToken]}):
        of_the_settings = HttpResponse()
        headers.make_private(of_the_settings)
        assert vary_of(of_the_settings) == CALLERS | {"x-team-token"}


def test_djangos_cache_is_told_in_words_that_every_release_understands(rf: RequestFactory) -> None:
    """Older ones keep answers that say no-store."""
    request, response = rf.get("/"), HttpResponse()
    request._cache_update_cache = True  # type: ignore[attr-defined]  # as FetchFromCacheMiddleware does
    keep_out_of_caches(request)
    assert not UpdateCacheMiddleware(lambda _: response)._should_update_cache(request, response)  # type: ignore[attr-defined]


# --- a cache in front ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def cached(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    more = {"SITE_SETTINGS": json.dumps(CACHED)}
    with serve(request.param, **more) as running:
        assert_cache_is_on(running)
        yield running


def assert_cache_is_on(site: Site) -> None:
    """Else the tests would show nothing: a page of the site's own is kept."""
    kept = [httpx.get(f"{site.url}/own/page", trust_env=False, timeout=60) for _ in range(2)]
    assert "max-age=600" in kept[1].headers["cache-control"]


@pytest.fixture(scope="module")
def other_key(cached: Site) -> str:
    name = f"bob-{cached.process.pid}"
    environment = {**cached.environment, "DJANGO_SUPERUSER_PASSWORD": "b"}
    manage(
        environment, "createsuperuser", "--noinput", "--username", name, "--email", "b@b.example"
    )
    return manage(environment, "native_key", "create", name, "--name", "tests")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_what_one_caller_is_told_no_other_is_told(
    cached: Site, other_key: str, header: str
) -> None:
    def get(path: str, key: str | None) -> httpx.Response:
        value = f"Bearer {key}" if header == "authorization" else key
        return httpx.get(
            f"{cached.url}{path}",
            headers={header: value} if value and key else {},
            trust_env=False,
            timeout=60,
        )

    keys = [cached.key, other_key, cached.key + "x", None, cached.key]
    for path in ("/v1/usage", "/v1/models", "/v1/models/hello"):
        assert [get(path, key).status_code for key in keys] == [200, 200, 401, 401, 200]
    assert get("/v1/usage", cached.key).json()["user"] == "alice"
    assert get("/v1/usage", other_key).json()["user"].startswith("bob-")


def test_what_a_caller_has_used_is_what_it_has_used_now(cached: Site) -> None:
    def used() -> int:
        return int(
            httpx.get(
                f"{cached.url}/v1/usage", headers=cached.headers, trust_env=False, timeout=60
            ).json()["total"]["requests"]
        )

    before = used()
    answer = httpx.post(
        f"{cached.url}{PATH}", json=CHAT, headers=cached.headers, trust_env=False, timeout=60
    )
    cached.wait_for_usage(request_id=answer.headers["x-request-id"])
    assert used() == before + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_site_that_is_not_ready_any_more_says_so_at_once(
    kind: str, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    """The last provider is a row, and is disabled."""
    folder, key = template
    settings = native_api(upstream, PROVIDERS={}, MODELS={})
    with running_site(
        kind, tmp_path, folder, key, settings, SITE_SETTINGS=json.dumps(CACHED)
    ) as site:
        shell(site, "Provider.objects.create(name='echo', preset='echo')")
        ready = ready_of(site, 200)
        shell(site, "Provider.objects.all().delete()")
        assert (ready, ready_of(site, 503)) == ("ok", "failing")


def shell(site: Site, code: str) -> None:
    manage(site.environment, "shell", "-c", f"from native_api.models import Provider; {code}")


def ready_of(site: Site, status: int) -> Any:
    """Once rows have been read again, which takes seconds and not the ten minutes of the cache."""

    def asked() -> Any:
        answer = httpx.get(f"{site.url}/health/ready", trust_env=False, timeout=60)
        return answer if answer.status_code == status else None

    return until(asked, f"readiness to answer {status}").json()["status"]
