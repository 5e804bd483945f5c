"""The async DRF view that every endpoint is.

DRF's steps in DRF's order (negotiate, authenticate, permit, throttle, handle), awaited. Rules:
1. A policy class with an async twin of its method (`aauthenticate`, `ahas_permission`,
   `aallow_request`) is awaited on the loop. Any other, such as a site's own, runs in a worker
   thread, so it may use the ORM.
2. Every error, from whichever step, leaves in the one envelope. DEBUG changes nothing in that.
3. Every answer says that it is private, and only safe values get into its headers. A response that
   cannot be finished is closed.
4. Under WSGI Django runs this view on a short-lived loop of its own; engine work goes to the
   process's lasting one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from math import ceil
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions as drf
from rest_framework import permissions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches
from rest_framework.views import APIView

from native_api import background, exceptions, logs
from native_api.authentication import refusal
from native_api.conf import native_settings
from native_api.inbound import headers
from native_api.inbound.openai.rendering import (
    EventStreamRenderer,
    JSONRenderer,
    error_envelope,
    to_json,
)
from native_api.limits.headers import merge_headers
from native_api.models import ApiKey
from native_api.routing.retry_policy import retry_headers
from native_api.throttling import FailedAuthThrottle
from native_api.types import Caller
from native_api.views.misconfigured import misconfigured

T = TypeVar("T")

logger = logs.get_logger("native_api.request")

NEEDS_NO_THREAD = frozenset(
    {
        permissions.AllowAny,
        permissions.IsAuthenticated,
        permissions.IsAdminUser,
        permissions.IsAuthenticatedOrReadOnly,
    }
)
"""DRF's own permission classes that only look at the request."""


class NativeNegotiation(DefaultContentNegotiation):
    """DRF's, without its `?format=`, and without work where any answer is welcome."""

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: Any = None
    ) -> tuple[Any, str]:
        accept = request.META.get("HTTP_ACCEPT", "*/*")
        if accept in ANSWERS:
            return renderers[0], JSONRenderer.media_type
        for accepted in self.get_accept_list(request):
            for renderer in renderers:
                if media_type_matches(renderer.media_type, accepted):
                    return renderer, renderer.media_type
        raise drf.NotAcceptable(available_renderers=renderers)


ANSWERS = frozenset({"*/*", JSONRenderer.media_type, EventStreamRenderer.media_type})


class NativeView(APIView):
    """Base of the endpoints. Handlers are `async def get/post(self, request)` and return an
    HttpResponse."""

    renderer_classes = [JSONRenderer, EventStreamRenderer]
    content_negotiation_class = NativeNegotiation
    versioning_class = None
    schema = None
    format_kwarg = None
    throttled_endpoint = True
    needs_valid_settings = True
    view_is_async = True
    """Django would look at the handlers, and a view may have none."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Never in a transaction: with ATOMIC_REQUESTS one would be held open for the length of a
        reply."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(alias)(view)
        return view

    def get_authenticators(self) -> list[Any]:
        return [
            authentication() for authentication in native_settings.DEFAULT_AUTHENTICATION_CLASSES
        ]

    def get_permissions(self) -> list[Any]:
        return [permission() for permission in native_settings.DEFAULT_PERMISSION_CLASSES]

    def get_throttles(self) -> list[Any]:
        return (
            [throttle() for throttle in native_settings.DEFAULT_THROTTLE_CLASSES]
            if self.throttled_endpoint
            else []
        )

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        started = time.monotonic()
        self.args, self.kwargs = args, kwargs
        self.request_id = logs.sane_request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        context = logs.request_id.set(self.request_id)
        self.answer_headers = {"x-request-id": self.request_id}
        self.on_asgi = isinstance(request, ASGIRequest)
        _keep_out_of_caches(request)
        try:
            response = await self._answer(request, *args, **kwargs)
            self._log(request, response, started)
        finally:
            logs.request_id.reset(context)
        return response

    async def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return self._finished(await self._handle(request, *args, **kwargs))
        except Exception as error:
            return self._refusal(error)

    def _finished(self, response: HttpResponseBase) -> HttpResponseBase:
        """The response with the headers that all have. One that they cannot be put on is closed: it
        may hold a stream open."""
        try:
            for name, value in self.answer_headers.items():
                response.headers[name] = headers.safe_value(value)
            headers.make_private(
                response, getattr(getattr(self, "request", None), "authenticators", None) or ()
            )
        except BaseException:
            response.close()
            raise
        return response

    def _refusal(self, error: Exception) -> HttpResponseBase:
        """The error's answer, and where even that cannot be made, one without anybody's words in
        it."""
        try:
            return self._finished(self.error_response(error))
        except Exception as problem:
            self.answer_headers = {"x-request-id": self.request_id}
            return self._finished(self.error_response(native_error(problem)))

    async def _handle(
        self, http_request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        handler = (
            getattr(self, (http_request.method or "").lower(), None)
            if http_request.method in self.allowed_methods
            else None
        )
        if self.needs_valid_settings:
            native_settings.require_valid()
        request = self.request = self.initialize_request(http_request)
        if handler is None:
            raise drf.MethodNotAllowed(http_request.method or "")
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(
            request
        )
        await self._authenticate(request)
        await self._check_permissions(request)
        await self._check_throttles(request)
        response: HttpResponseBase = await handler(request, *args, **kwargs)
        return response

    async def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        response = HttpResponse(status=204, headers={"allow": ", ".join(self.allowed_methods)})
        del response.headers["content-type"]
        return response

    # --- policies ----------------------------------------------------------------------------------------------

    async def _authenticate(self, request: Any) -> None:
        """Set `request.user` and `request.auth` as DRF would, by the first class that knows the
        caller."""
        for authenticator in request.authenticators:
            try:
                found = await self._policy(authenticator, "authenticate", request)
            except (exceptions.NotAuthenticated, drf.AuthenticationFailed):
                request._not_authenticated()
                await self._count_failure(request)
                raise
            if found is not None:
                request._authenticator = authenticator
                request.user, request.auth = found
                return
        request._not_authenticated()

    async def _check_permissions(self, request: Request) -> None:
        for permission in self.get_permissions():
            if type(permission) in NEEDS_NO_THREAD:
                allowed = permission.has_permission(request, self)
            else:
                allowed = await self._policy(permission, "has_permission", request, self)
            if not allowed:
                await self._refuse(request, permission)

    async def _refuse(self, request: Request, permission: Any) -> None:
        if request.authenticators and not request.successful_authenticator:
            error = refusal(request)
            if isinstance(error, exceptions.InvalidApiKey):
                await self._count_failure(request)
            raise error
        raise exceptions.PermissionDenied(
            getattr(permission, "message", None), code=getattr(permission, "code", None)
        )

    async def _count_failure(self, request: Request) -> None:
        """A failed authentication. Raises RateLimited once the address has failed too often."""
        wait = await FailedAuthThrottle().acount_failure(request)
        if wait is not None:
            told = "Too many failed attempts to authenticate from this address."
            raise exceptions.RateLimited(told, headers={"retry-after": str(wait)})

    async def _check_throttles(self, request: Request) -> None:
        waits: list[float] = []
        for throttle in self.get_throttles():
            allowed = await self._policy(throttle, "allow_request", request, self)
            if hasattr(throttle, "headers"):
                self.answer_headers.update(throttle.headers())
            if not allowed:
                waits.append(throttle.wait() or 1)
        if waits:
            seconds = max(1, ceil(max(waits)))
            raise exceptions.RateLimited(
                f"Too many requests. Try again in {seconds} s.", headers=retry_headers(seconds)
            )

    async def _policy(self, policy: Any, method: str, *args: Any) -> Any:
        if has_async_twin(type(policy), method):
            return await getattr(policy, f"a{method}")(*args)
        return await _in_thread(getattr(policy, method), *args)

    # --- for handlers ------------------------------------------------------------------------------------------

    async def on_engine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await engine work on the loop where its connections live."""
        return await coroutine if self.on_asgi else await background.relay(coroutine)

    def tell(self, headers: Mapping[str, str]) -> None:
        """Add headers to the answer. Where throttle and limits both tell where the caller stands,
        the tighter one is told."""
        standing = {
            name: self.answer_headers.pop(name)
            for name in list(self.answer_headers)
            if name.startswith("x-ratelimit-")
        }
        self.answer_headers.update({**headers, **merge_headers(standing, headers)})

    def json(self, value: Any, status: int = 200) -> HttpResponse:
        body = to_json(value)
        return HttpResponse(
            body,
            status=status,
            headers={"content-type": "application/json", "content-length": str(len(body))},
        )

    # --- errors ------------------------------------------------------------------------------------------------

    def error_response(self, error: Exception) -> HttpResponse:
        native = native_error(error)
        self.tell(native.headers)
        if native.status == 401:
            self.answer_headers["www-authenticate"] = "Bearer"
        if native.status == 405:
            self.answer_headers["allow"] = ", ".join(self.allowed_methods)
        return self.json(error_envelope(native), native.status)

    def _log(self, request: HttpRequest, response: HttpResponseBase, started: float) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        extra = {
            "request_id": self.request_id,  # for formatters that know nothing of the context
            "status": response.status_code,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "model": self.answer_headers.get("x-native-model"),
            "provider": self.answer_headers.get("x-native-provider"),
        }
        with suppress(
            Exception
        ):  # a filter of the site's that fails costs the line, not the answer
            logger.info("%s %s %s", request.method, request.path, response.status_code, extra=extra)


def _keep_out_of_caches(request: HttpRequest) -> None:
    """Tell Django's cache middleware not to keep the answer.

    Its own answer to `no-store` depends on the release: those before 5.2.15 and 6.0.6 kept some
    answers all the same (CVE-2026-6907, CVE-2026-8404; seen 2026-11).
    """
    request._cache_update_cache = False  # type: ignore[attr-defined]


def has_async_twin(policy: Any, method: str) -> bool:
    """Whether `aX` speaks for `X`: not where a subclass has overridden `X` alone."""
    for each in policy.__mro__:
        if f"a{method}" in vars(each):
            return True
        if method in vars(each):
            return False
    return False


async def _in_thread(function: Any, *args: Any) -> Any:
    """Run a synchronous policy in a worker thread, with database connections looked after as Django
    does for requests."""

    def call() -> Any:
        close_old_connections()
        try:
            return function(*args)
        finally:
            close_old_connections()

    return await sync_to_async(call, thread_sensitive=False)()


def caller_of(request: Request) -> Caller:
    """Who asks, for the gateway: the site's user, and the key where one was used."""
    user = request.user
    known = user is not None and user.is_authenticated
    user_id, user_name = (user.pk, user.get_username()) if known else (None, "")
    key = request.auth
    if not isinstance(key, ApiKey):
        return Caller(user_id, user_name)
    return Caller(user_id, user_name, key.pk, key.name, tuple(key.allowed_models))


DRF_ERRORS: dict[int, type[exceptions.NativeError]] = {
    400: exceptions.InvalidRequest,
    401: exceptions.NotAuthenticated,
    403: exceptions.PermissionDenied,
    404: exceptions.NotFound,
    405: exceptions.MethodNotAllowed,
    406: exceptions.NotAcceptable,
    413: exceptions.RequestTooLarge,
    415: exceptions.UnsupportedMediaType,
    429: exceptions.RateLimited,
}


def native_error(error: Exception) -> exceptions.NativeError:
    """Any exception as one of ours. Unknown ones are logged here, with their stack, and tell the
    client nothing."""
    if isinstance(error, exceptions.NativeError):
        return error
    if isinstance(error, drf.APIException):
        return _from_drf(error)
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, DjangoPermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, exceptions.ConfigurationError):
        return misconfigured(error)
    logger.error(
        "A request failed inside the gateway.",
        exc_info=error,
        extra={"request_id": logs.request_id.get()},
    )
    return exceptions.NativeError()


def _from_drf(error: drf.APIException) -> exceptions.NativeError:
    if isinstance(error, drf.AuthenticationFailed):
        return exceptions.InvalidApiKey(str(error.detail))
    kind = DRF_ERRORS.get(error.status_code, exceptions.NativeError)
    own_words = (
        isinstance(error, drf.NotAcceptable | drf.MethodNotAllowed | drf.NotAuthenticated)
        or kind is exceptions.NativeError
    )
    native = kind() if own_words else kind(str(error.detail))
    wait = getattr(error, "wait", None)
    if wait is not None:
        native.headers["retry-after"] = str(max(1, ceil(wait)))
    return native
