"""Django's handler for the gateway's own requests. Rules:

1. Bodies are read as `bodies` says. Django reads every body whole, however long that takes, before
   anybody asks who sends it.
2. Where the site's MIDDLEWARE has nothing but Django's own, which serves pages (sessions, CSRF,
   messages, frames), and no policy class needs it, requests go straight to their view: each of
   those costs a change of thread or two. A class of the site's own may look at the session or at
   the user that middleware found, so it is taken to need it, unless it says `needs_middleware =
   False`. The headers that SecurityMiddleware puts on every answer are put on these too.
3. So do the receivers of Django's request signals; where only Django's own are connected, the
   signals are not sent. The gateway looks after database connections where it uses them.
4. With anything else in MIDDLEWARE, or a receiver of the site's, everything runs as the site says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, set_script_prefix

from native_api.asgi import bodies
from native_api.asgi.bodies import Receive, Scope, Send
from native_api.asgi.callers import Caller
from native_api.conf import CLASSES, usable_settings
from native_api.exceptions import InvalidRequest, NativeError, RequestTooLarge
from native_api.inbound.body_limits import BODY

# What needs models is imported when used: this module is imported before Django is set up.

MATCH: Final = "native_api.match"
"""Where the scope holds the ResolverMatch of a request that is the gateway's."""

SECURITY: Final = "django.middleware.security.SecurityMiddleware"

FOR_PAGES: Final = frozenset(
    {
        SECURITY,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
    }
)


class GatewayHandler(ASGIHandler):
    """Django's handler with a bounded body, and the short way to the view where it is open."""

    def __init__(self) -> None:
        super().__init__()
        self._short: bool | None = None
        self._add_headers: Callable[[Any, Any], Any] | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope[BODY] = bodies.Body(scope, receive)
        try:
            await body.read_beforehand(
                Caller(scope, scope[MATCH], lambda: self.create_request(scope, BytesIO())[0])
            )
            if body.has_left:
                return
            if body.is_unread:
                send = body.closing(send)
            if self._short_way():
                await self._answer(scope, body, send)
            else:
                await super().handle(scope, body.replayed(), send)
        except NativeError as error:
            await bodies.refuse(scope, error, body.closing(send))
        finally:
            body.close()

    def _short_way(self) -> bool:
        if self._short is None:
            self._short = (
                _only_pages_need_middleware()
                and not _policies_need_middleware()
                and not _sites_own_receivers()
            )
            if SECURITY in settings.MIDDLEWARE:
                self._add_headers = SecurityMiddleware(
                    lambda request: HttpResponse()
                ).process_response
        return self._short

    async def _answer(self, scope: Scope, body: bodies.Body, send: Send) -> None:
        set_script_prefix(get_script_prefix(scope))
        request, refusal = self.create_request(scope, BytesIO(body.content))
        task = asyncio.current_task()
        leaving = asyncio.get_running_loop().create_task(_cancel_when_left(body, task))
        response: HttpResponseBase | None = None
        try:
            response = (
                _enveloped(refusal)
                if request is None
                else await self._view_response(request, scope[MATCH])
            )
            await self.send_response(response, send)
        except asyncio.CancelledError:
            if not leaving.done() or task is None:
                raise
            task.uncancel()
        finally:
            leaving.cancel()
            if response is not None and response.streaming:
                response.close()

    async def _view_response(self, request: ASGIRequest, match: ResolverMatch) -> HttpResponseBase:
        request.resolver_match = match
        response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        if self._add_headers is not None:
            self._add_headers(request, response)
        return response


def _enveloped(refusal: HttpResponseBase | None) -> HttpResponseBase:
    """Django's own words about a request that is none (a query that is not UTF-8, say), in the
    gateway's."""
    from native_api.inbound.headers import make_private
    from native_api.inbound.openai.rendering import error_envelope, to_json

    error = (
        RequestTooLarge()
        if refusal is not None and refusal.status_code == 413
        else InvalidRequest()
    )
    response = HttpResponse(
        to_json(error_envelope(error)), status=error.status, content_type="application/json"
    )
    make_private(response)
    return response


async def _cancel_when_left(body: bodies.Body, task: asyncio.Task[Any] | None) -> None:
    """Cancel the answer when the client is gone. Nothing else can come after a body."""
    while (await body.receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()


def _only_pages_need_middleware() -> bool:
    return not settings.SECURE_SSL_REDIRECT and set(settings.MIDDLEWARE) <= FOR_PAGES


def _policies_need_middleware() -> bool:
    return any(
        _needs_middleware(policy) for name in CLASSES for policy in getattr(usable_settings, name)
    )


def _needs_middleware(policy: Any) -> bool:
    from rest_framework.authentication import RemoteUserAuthentication, SessionAuthentication

    told = getattr(policy, "needs_middleware", None)
    if told is not None:
        return bool(told)
    own = policy.__module__.partition(".")[0] not in ("native_api", "rest_framework")
    return own or issubclass(policy, SessionAuthentication | RemoteUserAuthentication)


def _sites_own_receivers() -> bool:
    for signal in (signals.request_started, signals.request_finished):
        for receivers in signal._live_receivers(GatewayHandler):
            if any(not receiver.__module__.startswith("django.") for receiver in receivers):
                return True
    return False
