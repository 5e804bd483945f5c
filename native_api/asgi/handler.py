"""Django's handler for the gateway's own requests. Rules:

1. Bodies are read as `bodies` says. Django reads every body whole, however long that takes, before
   anybody asks who sends it. A body that is refused is answered by a view too, so that all of the
   site's middleware sees the request and puts its headers on the response.
2. If MIDDLEWARE has only classes that `middleware` can call, and neither the view nor a policy
   class needs what middleware finds, a request goes straight to its view: Django changes threads
   once or twice for each of those classes. A site's class may use the session or the user, so it
   is taken to need them unless it has `needs_middleware = False`.
3. If only Django's own receivers are connected to its request signals, these are not sent on the
   short way. The gateway looks after database connections where it uses them.
4. In all other cases everything runs as the site says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, set_script_prefix
from django.utils.log import log_response

from native_api.asgi import bodies, middleware
from native_api.asgi.bodies import Receive, Scope, Send
from native_api.asgi.callers import Caller
from native_api.asgi.policies import needs_middleware
from native_api.exceptions import InvalidRequest, NativeError, RequestTooLarge
from native_api.inbound.body_limits import BODY, MATCH, REFUSAL

# What needs models is imported when used: this module is imported before Django is set up.

View = Callable[..., Any]


class GatewayHandler(ASGIHandler):
    """Django's handler with a bounded body, and the short way to the view if it is open.

    `short_way=False` closes it.
    """

    def __init__(self, short_way: bool = True) -> None:
        super().__init__()
        self._is_allowed = short_way
        self._chains: middleware.MiddlewareChains | None = None
        self.open_views: dict[View, bool] = {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope[BODY] = bodies.Body(scope, receive)
        try:
            await self._read_beforehand(scope, body)
            if body.has_disconnected:
                return
            if body.is_unread or REFUSAL in scope:
                send = body.closing(send)
            is_answered = self.is_short_way_open(scope[MATCH]) and await self._answer(
                scope, body, send
            )
            if not is_answered:
                await super().handle(scope, body.replayed(), send)
        finally:
            body.close()

    async def _read_beforehand(self, scope: Scope, body: bodies.Body) -> None:
        """Read the body. If it is refused, the scope says why."""
        caller = Caller(scope, scope[MATCH], lambda: self.create_request(scope, BytesIO())[0])
        try:
            await body.read_beforehand(caller)
        except NativeError as error:
            scope[REFUSAL] = error

    # --- Django's way ----------------------------------------------------------------------------

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Django's, whose own words about what is no request (a query that is not UTF-8, say) are
        replaced by the gateway's."""
        request, refusal = super().create_request(scope, body_file)
        return request, None if refusal is None else _in_envelope(refusal, scope)

    def resolve_request(self, request: Any) -> Any:
        match = super().resolve_request(request)
        return (_refused_view(), (), {}) if REFUSAL in request.scope else match

    # --- the short way ---------------------------------------------------------------------------

    def is_short_way_open(self, match: ResolverMatch) -> bool:
        """Decided at the first request to each view."""
        is_open = self.open_views.get(match.func)
        if is_open is None:
            is_open = self.open_views[match.func] = (
                self._is_allowed
                and middleware.is_open()
                and not _has_site_receivers()
                and not needs_middleware(match.func)
            )
        return is_open

    async def _answer(self, scope: Scope, body: bodies.Body, send: Send) -> bool:
        """Whether the request was answered; if not, nothing was done."""
        set_script_prefix(get_script_prefix(scope))
        request, _ = self.create_request(scope, BytesIO(body.content))
        if self._chains is None:
            self._chains = middleware.MiddlewareChains()
        if request is None:
            return False
        chain = self._chains.choose(request)
        if not chain.process_request(request):
            return False
        task = asyncio.current_task()
        leaving = asyncio.get_running_loop().create_task(_cancel_when_left(body, task))
        response: HttpResponseBase | None = None
        try:
            response = await self._respond(request, scope[MATCH], chain)
            await self.send_response(response, send)
        except asyncio.CancelledError:
            if not leaving.done() or task is None:
                raise
            task.uncancel()
        finally:
            leaving.cancel()
            if response is not None and response.streaming:
                response.close()
            request.close()
        return True

    async def _respond(
        self, request: ASGIRequest, match: ResolverMatch, chain: middleware.MiddlewareChain
    ) -> HttpResponseBase:
        request.resolver_match = match
        try:
            response = await self._view_response(request, match)
        except Exception as error:  # of a site's own `dispatch`
            response = await middleware.error_page(request, error)
        response = await chain.process_response(request, response)
        if response.status_code >= 400:
            await _log(request, response)
        return response

    async def _view_response(self, request: ASGIRequest, match: ResolverMatch) -> HttpResponseBase:
        if REFUSAL in request.scope:
            response: HttpResponseBase = await _refused_view()(request)
        else:
            response = await match.func(request, *match.args, **match.kwargs)
        return response


def _refused_view() -> View:
    from native_api.views.errors import refused

    view: View = refused
    return view


def _in_envelope(refusal: HttpResponseBase, scope: Scope) -> HttpResponseBase:
    from native_api.views.error_responses import envelope_response
    from native_api.views.spoken_formats import choose_format

    error = RequestTooLarge() if refusal.status_code == 413 else InvalidRequest()
    names = {name.decode("latin-1") for name, _ in scope["headers"]}
    return envelope_response(error, choose_format(scope["path"], names))


def _has_site_receivers() -> bool:
    from native_api.views.private_api import has_site_receivers

    return has_site_receivers(GatewayHandler)


async def _log(request: ASGIRequest, response: Any) -> None:
    """As Django's handler logs every response that is an error."""
    await middleware.in_thread(
        log_response,
        "%s: %s",
        response.reason_phrase,
        request.path,
        response=response,
        request=request,
    )


async def _cancel_when_left(body: bodies.Body, task: asyncio.Task[Any] | None) -> None:
    """Cancel the answer when the client is gone. Nothing else can come after a body."""
    while (await body.receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()
