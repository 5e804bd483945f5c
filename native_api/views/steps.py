"""DRF's life of a request, for an event loop: the steps of `APIView.dispatch`, and the methods they
call.

DRF's order: initialize, negotiate, determine the version, authenticate, check permissions and
throttles, handle, handle exceptions, finalize. What a subclass may override is in `hooks`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, ClassVar, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from native_api import exceptions
from native_api.authentication import unauthenticated_error
from native_api.conf import native_settings
from native_api.inbound import headers
from native_api.routing.retry_policy import retry_headers
from native_api.throttling import FailedAuthThrottle
from native_api.views import hooks, policies, private_api
from native_api.views.error_responses import exception_handler, known_error
from native_api.views.hooks import hook
from native_api.views.negotiation import NativeNegotiation
from native_api.views.policies import PolicySetting
from native_api.views.renderers import EventStreamRenderer, JSONRenderer

T = TypeVar("T")


class AsyncAPIView(APIView):
    """DRF's APIView with awaited steps. `headers` are those of the response, as in DRF."""

    authentication_classes = PolicySetting("DEFAULT_AUTHENTICATION_CLASSES")  # type: ignore[assignment]
    permission_classes = PolicySetting("DEFAULT_PERMISSION_CLASSES")  # type: ignore[assignment]
    throttle_classes = PolicySetting("DEFAULT_THROTTLE_CLASSES")  # type: ignore[assignment]
    renderer_classes = [JSONRenderer, EventStreamRenderer]
    content_negotiation_class = NativeNegotiation
    metadata_class = None  # type: ignore[assignment]
    versioning_class = None
    schema = None
    view_is_async = True
    """Django would look at the handlers, and a view may have none."""

    needs_middleware: ClassVar[bool | None] = None
    """Whether a subclass needs the session or the user that middleware finds, see `asgi`. None
    means that a site's class does, and the gateway's does not."""

    needs_valid_settings: ClassVar[bool] = True
    """Whether requests are refused while a NATIVE_API setting is invalid."""

    overridden: ClassVar[frozenset[str]] = frozenset()
    """The hooks that run a site's code."""

    sync_handlers: ClassVar[frozenset[str]] = frozenset()
    """The HTTP methods, in lower case, whose handlers run in a worker thread."""

    waiting_threads = 0
    """How many worker threads wait for a hook of this request."""

    refusing_throttle: Any = None
    """The throttle that refuses the request, for longest if several do."""

    headers: dict[str, str]
    _finalized: HttpResponseBase | None = None
    """The response that the gateway's own `finalize_response` has finished."""

    async def _run_steps(
        self, http_request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """DRF's `dispatch`. Raises what a hook raises outside of DRF's own `try`."""
        if self.needs_valid_settings:
            native_settings.require_valid()
        request = self.request = await self._run(
            "initialize_request", self.initialize_request, http_request, *args, **kwargs
        )
        if "default_response_headers" in self.overridden:
            defaults = await self._run(
                "default_response_headers", lambda: self.default_response_headers
            )
            self.headers = {**defaults, **self.headers}
        try:
            await self.initial(request, *args, **kwargs)  # type: ignore[func-returns-value]
            response = await self._run_handler(request, *args, **kwargs)
        except Exception as error:
            response = await self.handle_exception(error)  # type: ignore[misc]
        return await self._finalize(request, response, *args, **kwargs)

    async def _run_handler(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        name = (request.method or "").lower()
        handler = getattr(self, name, None) if name in self.http_method_names else None
        if handler is None:
            return await self._run(
                "http_method_not_allowed", self.http_method_not_allowed, request, *args, **kwargs
            )
        if name in self.sync_handlers:
            return await hooks.awaited(
                await hooks.run_in_thread(self, handler, request, *args, **kwargs)
            )
        return await handler(request, *args, **kwargs)

    async def _finalize(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """The response that leaves. One that cannot be finished is closed: it may hold a stream
        open."""
        try:
            final: Any = await self.finalize_response(request, response, *args, **kwargs)
            if final is not self._finalized:
                self._check_type(final)
                self._private(final, keep=True)
        except BaseException:
            if isinstance(response, HttpResponseBase):
                response.close()
            raise
        finally:
            self._finalized = None  # the view is in a cycle with its request: free the stream now
        return final  # type: ignore[no-any-return]

    def _private(self, response: Any, keep: bool = False) -> HttpResponseBase:
        """The response with the headers that all have. With `keep`, what it has already stays."""
        cache_control = response.headers.get("cache-control") if keep else None
        for name, value in self.named_headers().items():
            if not (keep and name in response.headers):
                response.headers[name] = headers.safe_value(value)
        headers.make_private(response, self._authenticators())
        if cache_control is not None:
            response.headers["cache-control"] = cache_control
        return response  # type: ignore[no-any-return]

    def named_headers(self) -> dict[str, str]:
        """`headers` in the names of the API that the client speaks."""
        return self.headers

    def _authenticators(self) -> Any:
        return getattr(getattr(self, "request", None), "authenticators", None) or ()

    def _check_type(self, response: Any) -> None:
        if not isinstance(response, HttpResponseBase):
            raise TypeError(
                f"{type(self).__name__} must return an HttpResponse from its handlers, "
                f"handle_exception() and finalize_response(), not {type(response).__name__}."
            )

    async def _run(self, name: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The result of a hook that is a plain function."""
        if name not in self.overridden:
            return function(*args, **kwargs)
        result: T = await hooks.run_in_thread(self, function, *args, **kwargs)
        return result

    # --- DRF's steps -----------------------------------------------------------------------------

    @hook
    async def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.format_kwarg = await self._run("get_format_suffix", self.get_format_suffix, **kwargs)
        request.accepted_renderer, request.accepted_media_type = await self._negotiate(request)
        request.version, request.versioning_scheme = await self._determine_version(
            request, *args, **kwargs
        )
        await self.perform_authentication(request)  # type: ignore[func-returns-value]
        await self.check_permissions(request)  # type: ignore[func-returns-value]
        await self.check_throttles(request)  # type: ignore[func-returns-value]

    async def _negotiate(self, request: Request) -> Any:
        if self.content_negotiation_class is NativeNegotiation:
            return await self._run(
                "perform_content_negotiation", self.perform_content_negotiation, request
            )
        return await hooks.run_in_thread(self, self.perform_content_negotiation, request)

    async def _determine_version(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if self.versioning_class is None and "determine_version" not in self.overridden:
            return None, None
        return await hooks.run_in_thread(self, self.determine_version, request, *args, **kwargs)

    @hook
    async def perform_authentication(self, request: Any) -> None:  # type: ignore[override]
        """Set `request.user` and `request.auth` as DRF does, by the first class that finds the
        caller."""
        for authenticator in request.authenticators:
            try:
                caller = await policies.authenticate(self, authenticator, request)
            except (exceptions.NotAuthenticated, drf.AuthenticationFailed):
                private_api.set_unauthenticated(request)
                await self._count_failure(request)
                raise
            except drf.APIException:
                private_api.set_unauthenticated(request)
                raise
            if caller is not None:
                private_api.set_caller(request, authenticator, *caller)
                return
        private_api.set_unauthenticated(request)

    @hook
    async def check_permissions(self, request: Request) -> None:  # type: ignore[override]
        for permission in await self._run("get_permissions", self.get_permissions):
            if not await policies.has_permission(self, permission, request):
                await self._deny(request, permission)

    async def _deny(self, request: Request, permission: Any) -> None:
        is_authenticated = await self._run(
            "perform_authentication", lambda: request.successful_authenticator
        )
        if (
            request.authenticators
            and not is_authenticated
            and isinstance(unauthenticated_error(request), exceptions.InvalidApiKey)
        ):
            await self._count_failure(request)
        message, code = getattr(permission, "message", None), getattr(permission, "code", None)
        await self._run(
            "permission_denied", self.permission_denied, request, message=message, code=code
        )

    async def _count_failure(self, request: Request) -> None:
        """A failed authentication. Raises RateLimited once the address has failed too often."""
        wait = await FailedAuthThrottle().acount_failure(request)
        if wait is not None:
            message = (
                "Too many failed attempts to authenticate from this address. "
                f"Try again in {wait} s, with a valid key."
            )
            raise exceptions.RateLimited(message, headers={"retry-after": str(wait)})

    @hook
    async def check_throttles(self, request: Request) -> None:  # type: ignore[override]
        waits: list[tuple[float, Any]] = []
        for throttle in await self._run("get_throttles", self.get_throttles):
            allowed = await policies.allows_request(self, throttle, request)
            if hasattr(throttle, "headers"):
                self.headers.update(throttle.headers())
            if not allowed:
                waits.append((throttle.wait() or 1, throttle))
        if waits:
            wait, self.refusing_throttle = max(waits, key=lambda pair: pair[0])
            await self._run("throttled", self.throttled, request, wait)

    @hook
    async def handle_exception(self, exc: Exception) -> Any:  # type: ignore[override]
        """The response to an exception. Raises those that no client should be told of; they are
        answered 500 without a hook."""
        await self._add_error_headers(exc)
        handler = await self._run("get_exception_handler", self.get_exception_handler)
        context = await self._run(
            "get_exception_handler_context", self.get_exception_handler_context
        )
        if handler is exception_handler:
            response = exception_handler(exc, context)
        else:
            response = await hooks.awaited(await hooks.run_in_thread(self, handler, exc, context))
        if response is None:
            await self._run("raise_uncaught_exception", self.raise_uncaught_exception, exc)
        return response

    async def _add_error_headers(self, exc: Exception) -> None:
        error = known_error(exc)
        if error is not None and error.status == 401:
            header = await self._authenticate_header()
            exc.auth_header = self.headers["www-authenticate"] = header  # type: ignore[attr-defined]
        if error is not None and error.status == 405:
            methods = await self._run("allowed_methods", lambda: self.allowed_methods)
            self.headers["allow"] = ", ".join(methods)

    async def _authenticate_header(self) -> str:
        """A challenge is always sent, where DRF answers 403 if the first class has none."""
        header = await self._run(
            "get_authenticate_header", self.get_authenticate_header, self.request
        )
        return header or "Bearer"

    @hook
    async def finalize_response(  # type: ignore[override]
        self, request: Any, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """The response with the headers that all have. `response` is what the handler returned: an
        HttpResponse, a StreamingHttpResponse or, from a site's handler, DRF's Response."""
        self._check_type(response)
        if isinstance(response, Response):
            await self._prepare_rendering(request, response)
        self._finalized = self._private(response)
        return self._finalized

    async def _prepare_rendering(self, request: Any, response: Any) -> None:
        if not getattr(request, "accepted_renderer", None):
            neg = await hooks.run_in_thread(
                self, self.perform_content_negotiation, request, force=True
            )
            request.accepted_renderer, request.accepted_media_type = neg
        response.accepted_renderer = request.accepted_renderer
        response.accepted_media_type = request.accepted_media_type
        response.renderer_context = await self._run(
            "get_renderer_context", self.get_renderer_context
        )

    # --- what DRF's plain methods do here --------------------------------------------------------

    @property
    def default_response_headers(self) -> dict[str, str]:  # type: ignore[override]
        return {}

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """DRF's, with the methods that the URL supports."""
        methods = " or ".join(
            name for name in self.allowed_methods if name not in ("HEAD", "OPTIONS")
        )
        detail = f"This URL does not support {str(request.method)[:20]}. Send {methods}."
        raise drf.MethodNotAllowed(str(request.method), detail)

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> Any:
        if request.authenticators and not request.successful_authenticator:
            raise unauthenticated_error(request)
        raise exceptions.PermissionDenied(message, code=code)

    def throttled(self, request: Request, wait: float | None) -> Any:  # type: ignore[override]
        seconds = max(1, ceil(wait or 1))
        describe = getattr(self.refusing_throttle, "describe_limit", None)
        limit = describe() if describe else ""
        refusal = f"The limit of {limit} has been reached." if limit else "Too many requests."
        raise exceptions.RateLimited(
            f"{refusal} Try again in {seconds} s.", headers=retry_headers(seconds)
        )

    def get_exception_handler(self) -> Any:
        return (
            exception_handler if self.settings is api_settings else self.settings.EXCEPTION_HANDLER
        )

    def raise_uncaught_exception(self, exc: Exception) -> Any:
        raise exc

    async def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        if self.metadata_class is not None:
            metadata = await hooks.run_in_thread(
                self, self.metadata_class().determine_metadata, request, self
            )
            return Response(metadata)
        methods = await self._run("allowed_methods", lambda: self.allowed_methods)
        response = HttpResponse(status=204, headers={"allow": ", ".join(methods)})
        del response.headers["content-type"]
        return response
