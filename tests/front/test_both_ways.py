"""The short way to the views answers as Django's own handler does, whichever of Django's middleware
a site has."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.urls import ResolverMatch
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated

from native_api.asgi import GatewayASGI, middleware
from native_api.asgi.middleware import WITHOUT_EFFECT
from native_api.authentication import ApiKeyAuthentication
from native_api.views import LiveView, ModelListView
from tests.asgi_client import Answer, ask
from tests.front import policies

SECURITY = "django.middleware.security.SecurityMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"

MIDDLEWARE = (
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    SECURITY,
    SESSIONS,
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    AUTHENTICATION,
    MESSAGES,
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
"""In the order that Django's documentation gives."""

SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["good.example"],
    "DISALLOWED_USER_AGENTS": [re.compile("^BadBot")],
    "SECURE_HSTS_SECONDS": 60,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "LANGUAGES": [("en", "English"), ("de", "German")],
    "NATIVE_API": {
        "PROVIDERS": {"echo": {}},
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_THROTTLE_CLASSES": [],
        "MAX_BODY_BYTES": 2000,
    },
}

CHAT = "/native/v1/chat/completions"
MODELS = "/native/v1/models"
MESSAGE = {"model": "echo/any", "messages": [{"role": "user", "content": "word " * 100}]}


def chat(**more: Any) -> tuple[str, str, dict[str, str], bytes]:
    return (
        "POST",
        CHAT,
        {"content-type": "application/json"},
        json.dumps({**MESSAGE, **more}).encode(),
    )


REQUESTS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "models": ("GET", MODELS, {}, b""),
    "models, conditional": ("GET", MODELS, {"if-none-match": "*", "accept-encoding": "gzip"}, b""),
    "over TLS, in German": (
        "GET",
        MODELS,
        {"x-forwarded-proto": "https", "accept-language": "de"},
        b"",
    ),
    "with bad cookies": (
        "GET",
        MODELS,
        {"cookie": "sessionid=short; csrftoken=!; messages=x"},
        b"",
    ),
    "with good cookies": (
        "GET",
        MODELS,
        {"cookie": f"sessionid={'s' * 32}; csrftoken={'c' * 32}"},
        b"",
    ),
    "bad host": ("GET", MODELS, {"host": "bad.example"}, b""),
    "disallowed user agent": ("GET", MODELS, {"user-agent": "BadBot/1"}, b""),
    "a slash too many": ("GET", f"{MODELS}/", {}, b""),
    "unknown path": ("GET", "/native/nowhere", {"referer": "https://good.example/x"}, b""),
    "head": ("HEAD", MODELS, {}, b""),
    "options": ("OPTIONS", CHAT, {"origin": "https://other.example"}, b""),
    "wrong method": ("DELETE", CHAT, {}, b""),
    "chat, zipped": (*chat()[:2], {**chat()[2], "accept-encoding": "gzip"}, chat()[3]),
    "stream": (*chat()[:2], {**chat()[2], "accept-encoding": "gzip"}, chat(stream=True)[3]),
    "invalid JSON": (*chat()[:3], b"{"),
    "too large": (*chat()[:3], b" " * 2001),
    "a query that is not UTF-8": ("GET", f"{MODELS}?%FF", {}, b""),
}

SELDOM = {"a query that is not UTF-8", "wrong method", "a slash too many", "stream", "chat, zipped"}
"""What is sent under some of the subsets only, since it takes long or does not depend on them."""


def subsets() -> Iterator[tuple[str, ...]]:
    """Every subset of the classes that do something; the user and the messages, which do nothing
    for the gateway's views, are there or missing in turn."""
    idle = itertools.cycle(((AUTHENTICATION, MESSAGES), (), (AUTHENTICATION,), (), (MESSAGES,)))
    active = [path for path in MIDDLEWARE if path not in WITHOUT_EFFECT]
    for size in range(len(active) + 1):
        for chosen in itertools.combinations(active, size):
            wanted = {*chosen, *next(idle)}
            yield tuple(path for path in MIDDLEWARE if path in wanted)


def is_complete(paths: tuple[str, ...]) -> bool:
    """Whether each class has the one that it needs before it."""
    return all(WITHOUT_EFFECT.get(path, path) in paths for path in paths)


def comparable(answer: Answer) -> tuple[Any, ...]:
    """What must be equal. Ids and times differ, Django's gzip adds a file name of random length,
    and a CSRF cookie is random."""
    headers = sorted(
        (name, re.sub(r"(csrftoken=)\w+|(expires=)[^;]+", r"\1\2", value))
        for name, value in answer.headers
        if name not in ("x-request-id", "date")
        and not (name == "content-length" and answer.is_zipped)
    )
    body = gzip.decompress(answer.body) if answer.is_zipped else answer.body
    body = re.sub(rb'"(id|created|x_request_id)":("[^"]*"|\d+)', rb'"\1":0', body)
    return answer.status, headers, body


@pytest.fixture(autouse=True)
def nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native_api.usage.recorder.record", lambda *args, **kwargs: None)


async def compare(paths: tuple[str, ...], names: list[str]) -> None:
    with override_settings(MIDDLEWARE=list(paths)):
        both = [GatewayASGI(None, short_way=is_short) for is_short in (True, False)]
        for name in names:
            answers = [comparable(await ask(way, *REQUESTS[name])) for way in both]
            assert answers[0] == answers[1], (name, paths)
    open_views = set(both[0].gateway.open_views.values())
    assert open_views == {is_complete(paths)}, paths


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@override_settings(**SETTINGS)
def test_under_every_subset() -> None:
    async def run() -> None:
        for number, paths in enumerate(subsets()):
            names = [name for name in REQUESTS if name not in SELDOM or number % 16 == 0]
            await compare(paths, names)

    asyncio.run(run())


# --- when the short way is closed ----------------------------------------------------------------

STARTPROJECT = [path for path in MIDDLEWARE if path not in (*MIDDLEWARE[:2], MIDDLEWARE[4])]
OTHERS = {
    "broken links": ["django.middleware.common.BrokenLinkEmailsMiddleware"],
    "caches": [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    "the site's own": ["tests.front.policies.Stamp"],
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", OTHERS)
@override_settings(**SETTINGS)
def test_other_middleware_closes_it(case: str) -> None:
    async def run() -> None:
        with override_settings(MIDDLEWARE=[*STARTPROJECT, *OTHERS[case]]):
            both = [GatewayASGI(None, short_way=is_short) for is_short in (True, False)]
            for name, request in REQUESTS.items():
                answers = [comparable(await ask(way, *request)) for way in both]
                assert answers[0] == answers[1], name
        assert not any(both[0].gateway.open_views.values())

    asyncio.run(run())


def is_open(view: Any = LiveView, **settings: Any) -> bool:
    with override_settings(**{"MIDDLEWARE": STARTPROJECT, **settings}):
        match = ResolverMatch(view.as_view(), (), {})
        return GatewayASGI(None).gateway.is_short_way_open(match)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_SAVE_EVERY_REQUEST", True),
        ("SESSION_ENGINE", "mysite.sessions"),
        ("MESSAGE_STORAGE", "mysite.messages.Storage"),
        ("CSRF_USE_SESSIONS", True),
        ("MIDDLEWARE", [AUTHENTICATION, SESSIONS]),
        ("MIDDLEWARE", ["django.middleware.security.SecurityMiddlewareOfTomorrow"]),
    ],
)
def test_settings_that_make_middleware_do_more_close_it(name: str, value: Any) -> None:
    with override_settings(MIDDLEWARE=STARTPROJECT):
        assert middleware.is_open()
        with override_settings(**{name: value}):
            assert not middleware.is_open()


def test_an_unknown_version_of_django_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.VERSION", (7, 0, 0, "final", 0))
    assert not is_open()


class Staff(LiveView):
    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        self.headers["x-session"] = str(dict(self.request.session))


class Independent(Staff):
    needs_middleware = False


def test_a_view_of_the_sites_closes_it_for_itself() -> None:
    assert not is_open(Staff)
    assert is_open(Independent)


@pytest.mark.parametrize(
    ("attribute", "policy", "expected"),
    [
        ("authentication_classes", ApiKeyAuthentication, True),
        ("authentication_classes", SessionAuthentication, False),
        ("permission_classes", policies.NotOnFridays, True),
        ("permission_classes", IsAuthenticated & policies.NotOnFridays, False),
        ("authentication_classes", policies.OfTheMiddleware, False),
    ],
)
def test_a_policy_class_closes_it(attribute: str, policy: Any, expected: bool) -> None:
    class View(Independent):
        pass

    setattr(View, attribute, [policy])
    assert is_open(View) is expected


def caller_by_middleware(request: Any) -> Any:
    return None


def caller_by_header(request: Any) -> Any:
    return None


caller_by_header.needs_middleware = False  # type: ignore[attr-defined]


def test_a_function_for_callers_closes_it_for_views_that_have_callers() -> None:
    def is_open_with(function: Any, view: Any) -> bool:
        return is_open(view, NATIVE_API={"CALLER": function})

    assert not is_open_with(caller_by_middleware, ModelListView)
    assert is_open_with(caller_by_middleware, LiveView)
    assert is_open_with(caller_by_header, ModelListView)


@pytest.mark.parametrize("body", ["too large", "too slow", "no room"])
@pytest.mark.parametrize("paths", [STARTPROJECT, [*STARTPROJECT, "tests.front.policies.Stamp"]])
def test_a_body_that_is_refused_passes_through_all_middleware(paths: list[str], body: str) -> None:
    limits: dict[str, dict[str, Any]] = {
        "too large": {"MAX_BODY_BYTES": 10},
        "too slow": {"TIMEOUTS": {"BODY": 0.01}},
        "no room": {"MAX_BODIES_BYTES": 10},
    }
    settings = {**SETTINGS, "NATIVE_API": {**SETTINGS["NATIVE_API"], **limits[body]}}
    large = json.dumps({**MESSAGE, "user": "x" * 100_000}).encode()
    if body == "no room":
        settings["NATIVE_API"]["MAX_BODY_BYTES"] = 1_000_000

    async def run() -> Answer:
        with override_settings(MIDDLEWARE=paths, **settings):
            application = GatewayASGI(None)
            return await ask(application, *chat()[:3], large, is_slow=body == "too slow")

    answer = asyncio.run(run())
    headers = dict(answer.headers)
    error = json.loads(answer.body)["error"]["code"]
    assert (answer.status, error) in {
        (413, "request_too_large"),
        (408, "request_timeout"),
        (503, "overloaded"),
    }
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers.get("x-stamp") == ("seen" if len(paths) > len(STARTPROJECT) else None)
    assert headers.get("connection") == (None if body == "no room" else "close")
