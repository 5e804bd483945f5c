"""An ASGI application with what Django's own lacks. Optional: a site works without it, and gains by it.

    from native_api.asgi import get_asgi_application
    application = get_asgi_application()

Rules, for requests below the app's prefix; all others go to Django as ever:
1. A body over MAX_BODY_BYTES is refused as soon as that is known. Django reads every body whole before any view runs.
2. Where the site's MIDDLEWARE has nothing but Django's own, which serves pages (sessions, CSRF, messages, frames), and no
   authentication class needs it, requests go straight to their view: each of those costs a change of thread or two.
   So do the receivers of Django's request signals; where only Django's own are connected, the signals are not sent.
   The gateway looks after database connections where it uses them.
3. With anything else in MIDDLEWARE, or a receiver of the site's, everything runs as the site says.
And for the server: its start and end are heard (ASGI lifespan), so that records left by a killed process are written
at once, and a stopping process writes its last ones and closes its connections.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import signals
from django.core.asgi import get_asgi_application as django_asgi_application
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, resolve, reverse, set_script_prefix

from native_api.conf import native_settings
from native_api.engine import transport
from native_api.exceptions import RequestTooLarge

# What needs models is imported when used: this module is imported before Django is set up.

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LINGER_SECONDS: Final = 2.0
"""How long the rest of a refused body is thrown away, so that the client gets to read the refusal."""

FLUSH_SECONDS: Final = 10.0

FOR_PAGES: Final = frozenset(
    {
        "django.middleware.security.SecurityMiddleware",
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


def get_asgi_application(wrapper: Callable[[Any], Any] | None = None) -> Application:
    """Django's application in the gateway's. `wrapper` is put around Django's own, such as ASGIStaticFilesHandler."""
    application = django_asgi_application()
    return GatewayASGI(wrapper(application) if wrapper else application)


class GatewayASGI:
    """Gives each request to the gateway's handler or to Django's."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._gateway = GatewayHandler()
        self._prefix: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")).startswith(self.prefix):
            await self._gateway(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    @property
    def prefix(self) -> str:
        """Where the site included the app's URLs."""
        if self._prefix is None:
            try:
                self._prefix = reverse("native_api:live").removesuffix("health/live")
            except NoReverseMatch:
                self._prefix = "/native/"
        return self._prefix


async def _lifespan(receive: Receive, send: Send) -> None:
    from native_api.usage import recorder

    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await sync_to_async(recorder.start, thread_sensitive=False)()
            _spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await sync_to_async(recorder.flush, thread_sensitive=False)(FLUSH_SECONDS)
            await transport.aclose()
            await send({"type": "lifespan.shutdown.complete"})
            return


def _spare_the_collector() -> None:
    """What was made at start stays for good: looking through it again and again would cost each request."""
    gc.collect()
    gc.freeze()


class GatewayHandler(ASGIHandler):
    """Django's handler for the gateway's requests: a bounded body, and the short way to the view where it is open."""

    def __init__(self) -> None:
        super().__init__()
        self._short: bool | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = native_settings.MAX_BODY_BYTES
        body = await _read_body(scope, receive, limit)
        if body is None:
            await _refuse(limit, receive, send)
        elif body.left:
            return
        elif self._short_way():
            await self._answer(scope, body, receive, send)
        else:
            await super().handle(scope, body.replayed(receive), send)

    def _short_way(self) -> bool:
        if self._short is None:
            self._short = _only_pages_need_middleware() and not _sites_own_receivers()
        return self._short

    async def _answer(self, scope: Scope, body: Body, receive: Receive, send: Send) -> None:
        set_script_prefix(get_script_prefix(scope))
        request, refusal = self.create_request(scope, BytesIO(body.content))
        task = asyncio.current_task()
        leaving = asyncio.get_running_loop().create_task(_cancel_when_left(receive, task))
        response: HttpResponseBase | None = refusal
        try:
            if request is not None:
                response = await _view_response(request)
            assert response is not None  # Django gives one or the other
            await self.send_response(response, send)
        except asyncio.CancelledError:
            if not leaving.done() or task is None:
                raise
            task.uncancel()
        finally:
            leaving.cancel()
            if response is not None and response.streaming:
                response.close()


async def _view_response(request: ASGIRequest) -> HttpResponseBase:
    match = request.resolver_match = resolve(request.path_info)
    response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
    return response


async def _cancel_when_left(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    """Cancel the answer when the client is gone. Nothing else can come after a body."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()


def _only_pages_need_middleware() -> bool:
    from rest_framework.authentication import RemoteUserAuthentication, SessionAuthentication

    classes = native_settings.DEFAULT_AUTHENTICATION_CLASSES
    by_session = any(issubclass(each, SessionAuthentication | RemoteUserAuthentication) for each in classes)
    redirects = settings.SECURE_SSL_REDIRECT
    return not by_session and not redirects and set(settings.MIDDLEWARE) <= FOR_PAGES


def _sites_own_receivers() -> bool:
    for signal in (signals.request_started, signals.request_finished):
        for receivers in signal._live_receivers(GatewayHandler):
            if any(not receiver.__module__.startswith("django.") for receiver in receivers):
                return True
    return False


class Body:
    """A body that was read whole. `left` where the client went away before its end."""

    __slots__ = ("content", "left")

    def __init__(self, content: bytes, left: bool = False) -> None:
        self.content = content
        self.left = left

    def replayed(self, receive: Receive) -> Receive:
        """`receive` with the body before what is still to come."""
        first: list[Message] = [{"type": "http.request", "body": self.content, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        return replay


async def _read_body(scope: Scope, receive: Receive, limit: int) -> Body | None:
    """The body; None as soon as it is known to be over the limit."""
    if _declared_length(scope) > limit:
        return None
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Body(b"", left=True)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return Body(b"".join(pieces))


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def _refuse(limit: int, receive: Receive, send: Send) -> None:
    from native_api.gateway import new_request_id
    from native_api.renderers import error_envelope, to_json

    body = to_json(error_envelope(RequestTooLarge(f"The request body is larger than {limit} bytes.")))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": new_request_id(),
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 413, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
