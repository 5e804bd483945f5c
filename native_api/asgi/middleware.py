"""Django's own middleware, called by the handler's short way without a change of thread.

Rules:
1. Only classes that are listed here: their work is `process_request` and `process_response`, which
   use no database, cache or network under the settings that are checked. Any other class in
   MIDDLEWARE, or an unknown version of Django, closes the short way.
2. If `process_request` answers the request (a redirect) or refuses it (a host, a user agent), the
   request goes Django's way from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

T = TypeVar("T")

SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
CSRF: Final = "django.middleware.csrf.CsrfViewMiddleware"
GZIP: Final = "django.middleware.gzip.GZipMiddleware"

CALLED: Final = frozenset(
    {
        SESSIONS,
        CSRF,
        GZIP,
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.csp.ContentSecurityPolicyMiddleware",  # new in Django 6.0
    }
)

COOKIE_READERS: Final = frozenset({SESSIONS, CSRF})
"""Middleware that does nothing without a cookie, if the view uses neither session nor CSRF
token."""

WITHOUT_EFFECT: Final = {
    AUTHENTICATION: SESSIONS,
    "django.contrib.messages.middleware.MessageMiddleware": SESSIONS,
    "django.contrib.auth.middleware.LoginRequiredMiddleware": AUTHENTICATION,
}
"""Middleware that does nothing for a view that looks at neither user nor messages, and the one that
each needs before it: without that, Django answers 500."""

DJANGOS_OWN: Final = {
    "SESSION_ENGINE": "django.contrib.sessions.backends.",
    "MESSAGE_STORAGE": "django.contrib.messages.storage.",
}
"""Settings that name a class, and how Django's own begin."""

LARGE_RESPONSE: Final = 32 * 1024
"""Bytes. Compressing more would keep other requests waiting for milliseconds, so it is done in a
thread."""


class MiddlewareChain:
    """Some classes of MIDDLEWARE in their order. Make one only if `is_open()`."""

    def __init__(self, paths: Iterable[str]) -> None:
        chain = [(path, instance) for path in paths if (instance := _instance_of(path)) is not None]
        self._on_request: list[Callable[[HttpRequest], Any]] = [
            instance.process_request
            for _, instance in chain
            if hasattr(instance, "process_request")
        ]
        self._on_response = [
            (path, instance.process_response)
            for path, instance in reversed(chain)
            if hasattr(instance, "process_response")
        ]

    def process_request(self, request: HttpRequest) -> bool:
        """Whether all let the request pass."""
        try:
            return all(process(request) is None for process in self._on_request)
        except Exception:  # what it means is Django's to say
            return False

    async def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        for path, process in self._on_response:
            try:
                if path == GZIP and _is_large(response):
                    response = await in_thread(process, request, response)
                else:
                    response = process(request, response)
            except Exception as error:
                response = await error_page(request, error)
        return response


class MiddlewareChains:
    """The chain for each request: without COOKIE_READERS for one without a cookie."""

    def __init__(self) -> None:
        called = [path for path in settings.MIDDLEWARE if path in CALLED]
        self._with_cookie = MiddlewareChain(called)
        self._without_cookie = MiddlewareChain(
            path for path in called if path not in COOKIE_READERS
        )

    def choose(self, request: HttpRequest) -> MiddlewareChain:
        return self._with_cookie if "HTTP_COOKIE" in request.META else self._without_cookie


def is_open() -> bool:
    """Whether MIDDLEWARE and the settings of its classes are such that the chain can be made."""
    from native_api.views.private_api import is_django_checked

    return is_django_checked() and _are_classes_known() and _are_settings_known()


def _are_classes_known() -> bool:
    before: set[str] = set()
    for path in settings.MIDDLEWARE:
        if path not in CALLED and WITHOUT_EFFECT.get(path) not in before:
            return False
        before.add(path)
    return True


def _are_settings_known() -> bool:
    """Sessions are loaded or saved for every request under two of the settings."""
    return (
        not settings.SESSION_SAVE_EVERY_REQUEST
        and not settings.CSRF_USE_SESSIONS
        and all(getattr(settings, name).startswith(own) for name, own in DJANGOS_OWN.items())
    )


def _instance_of(path: str) -> Any:
    try:
        return import_string(path)(lambda request: HttpResponse())
    except MiddlewareNotUsed:
        return None


def _is_large(response: HttpResponseBase) -> bool:
    return not response.streaming and len(getattr(response, "content", b"")) > LARGE_RESPONSE


async def error_page(request: HttpRequest, error: Exception) -> HttpResponseBase:
    """What Django answers to an exception outside of the view."""
    response: HttpResponseBase = await in_thread(response_for_exception, request, error)
    return response


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run synchronous code of Django or the site."""
    from native_api.background.executors import foreign_to_async  # which makes loggers

    return await foreign_to_async(function)(*args, **kwargs)
