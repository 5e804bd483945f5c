"""An ASGI application that adds to Django's own. Optional: the gateway works without it, slower.

    from native_api.asgi import get_asgi_application
    application = get_asgi_application()

Requests to the gateway's views go to `handler`; all others go to Django unchanged. With ASGI's
lifespan messages, records that a killed process has left are written when the server starts, and
what lasts as long as the process is exempted from garbage collection; the last records are written
and connections closed when it stops.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.core.asgi import get_asgi_application as django_asgi_application
from django.core.handlers.asgi import get_script_prefix
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, resolve, reverse

from native_api.asgi.bodies import Receive, Scope, Send
from native_api.asgi.handler import GatewayHandler
from native_api.asgi.middleware import in_thread
from native_api.asgi.policies import is_native_view
from native_api.bounded_cache import BoundedCache
from native_api.conf import native_settings
from native_api.exceptions import SettingError
from native_api.inbound.body_limits import MATCH
from native_api.upstream import transport

# What needs models is imported when used: this module is imported before Django is set up.

UNKNOWN: Final = "unknown"
"""The name of the pattern that matches every other path."""

STOP_SECONDS: Final = 10.0

__all__ = ["GatewayASGI", "get_asgi_application"]


def get_asgi_application(wrapper: Callable[[Any], Any] | None = None) -> GatewayASGI:
    """The gateway's application around Django's. `wrapper` is applied to Django's own application:
    ASGIStaticFilesHandler, for example."""
    application = django_asgi_application()
    return GatewayASGI(wrapper(application) if wrapper else application)


MAX_MATCHES: Final = 256


class GatewayASGI:
    """Gives each request to the gateway's handler or to Django's."""

    def __init__(self, application: Any, short_way: bool = True) -> None:
        """`short_way=False` sends every request through Django's own handler."""
        self._application = application
        self.gateway = GatewayHandler(short_way)
        self._prefix: str | None = None
        self._matches = BoundedCache[tuple[str, str], ResolverMatch](MAX_MATCHES)
        """By URLconf and path, for the app's paths without a variable part: these are few."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        match = self._match(scope) if scope["type"] == "http" else None
        if match is None:
            await self._application(scope, receive, send)
        else:
            await self.gateway({**scope, MATCH: match}, receive, send)

    def _match(self, scope: Scope) -> ResolverMatch | None:
        """The view that the request leads to, if it is one of the gateway's or extends one."""
        path = scope["path"].removeprefix(get_script_prefix(scope))
        if not path.startswith(self.prefix):
            return None
        key = (settings.ROOT_URLCONF, path)
        match = self._matches.get(key)
        if match is not None:
            return match
        try:
            match = resolve(path)
        except Resolver404:
            return None
        if "native_api" in match.app_names:
            if not match.kwargs and match.url_name != UNKNOWN:
                self._matches[key] = match
            return match
        return match if is_native_view(match.func) else None

    @property
    def prefix(self) -> str:
        """The path at which the site includes the app's URLs. The site may have views below it."""
        if self._prefix is None:
            try:
                self._prefix = reverse("native_api:live").removesuffix("health/live")
            except NoReverseMatch:
                self._prefix = "/native/"
        return self._prefix


async def _lifespan(receive: Receive, send: Send) -> None:
    from native_api import background
    from native_api.pricing import lookup
    from native_api.usage import recorder

    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await in_thread(recorder.start)
            await lookup.ensure_ready()
            _freeze_objects()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await background.close_streams()
            await transport.aclose()
            await in_thread(recorder.stop, STOP_SECONDS)
            await send({"type": "lifespan.shutdown.complete"})
            return


def _freeze_objects() -> None:
    """Exempt modules, classes and URL patterns from garbage collection, if the site allows it: else
    each full collection visits all of them again, for a tenth of the time that requests take."""
    try:
        is_allowed = native_settings.GC_FREEZE
    except SettingError:  # reported where requests are refused
        return
    if is_allowed:
        gc.collect()
        gc.freeze()
