"""The async DRF view that every endpoint extends.

Rules:
1. A subclass may override DRF's hooks and class attributes as in any DRF view, see `hooks`.
2. Every error, from any step, is answered in the envelope of the API that the client speaks. DEBUG
   changes nothing in that.
3. Every response says that it is private, and only safe values get into its headers. A response
   that cannot be finished is closed.
4. Under WSGI, Django runs this view on a short-lived event loop; calls to providers run on the
   process's lasting one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from rest_framework.request import Request

from native_api import background, exceptions, logs
from native_api.authentication import default_caller
from native_api.conf import native_settings
from native_api.inbound.base import InboundFormat, to_json
from native_api.limits.headers import merge_headers
from native_api.types import Caller
from native_api.views import hooks, policies, private_api
from native_api.views.error_responses import json_response, native_error
from native_api.views.spoken_formats import OPENAI
from native_api.views.steps import AsyncAPIView

T = TypeVar("T")

logger = logs.get_logger("native_api.request")


class NativeView(AsyncAPIView):
    """Base of the endpoints. Handlers are `async def get/post(self, request)` and return an
    HttpResponse; a handler with `def` runs in a worker thread."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hooks.prepare(cls, NativeView)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Never in a transaction: ATOMIC_REQUESTS would hold one open for the length of a reply.
        Raises TypeError for an argument that would have no effect."""
        if cls is not NativeView:
            hooks.prepare(cls, NativeView)
        hooks.check_initkwargs(cls, initkwargs)
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(alias)(view)
        return view

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Run DRF's steps and the handler. Every response has its headers, every failure its error
        response."""
        started = time.monotonic()
        self.args, self.kwargs = args, kwargs
        self.request_id = logs.sane_request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        context = logs.request_id.set(self.request_id)
        self.headers = {"x-request-id": self.request_id}
        self.on_asgi = isinstance(request, ASGIRequest)
        private_api.keep_out_of_caches(request)
        try:
            response = await self._respond(request, *args, **kwargs)
            self._log(request, response, started)
        finally:
            logs.request_id.reset(context)
        return response

    async def _respond(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = await self._run_steps(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                await hooks.run_in_thread(self, response.render)
            return response
        except Exception as error:
            return self._error_response_without_hooks(error)

    def _error_response_without_hooks(self, error: Exception) -> HttpResponseBase:
        """The response to what no hook has handled; if even that cannot be made, one that says
        nothing about the request."""
        try:
            return self._private(self.error_response(native_error(error)))
        except Exception as problem:
            self.headers = {"x-request-id": self.request_id}
            return self._private(self.error_response(native_error(problem)))

    # --- for handlers ----------------------------------------------------------------------------

    async def get_caller(self, request: Request) -> Caller:
        """Whom the request counts for: limits, access and records go by it."""
        if native_settings.CALLER is None:
            return await self._run("perform_authentication", default_caller, request)
        return await policies.call_caller_function(self, native_settings.CALLER, request)

    async def on_engine(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a call to providers on the loop where its connections live."""
        return await coroutine if self.on_asgi else await background.relay(coroutine)

    def add_headers(self, added: Mapping[str, str]) -> None:
        """Add headers to the response. Of the rate-limit headers of throttles and limits, the
        tighter ones are kept."""
        rates = {
            name: self.headers.pop(name)
            for name in list(self.headers)
            if name.startswith("x-ratelimit-")
        }
        self.headers.update({**added, **merge_headers(rates, added)})

    def json(self, value: Any, status: int = 200) -> HttpResponse:
        """A response with this value as JSON."""
        return json_response(to_json(value), status)

    def json_bytes(self, body: bytes, status: int = 200) -> HttpResponse:
        """A response with a body that is JSON already."""
        return json_response(body, status)

    def error_response(self, error: exceptions.NativeError) -> HttpResponse:
        """The response to an error, with the error's headers."""
        self.add_headers(error.headers)
        if error.status == 401:
            self.headers.setdefault("www-authenticate", "Bearer")
        return self.json_bytes(self.error_body(error), self.error_status(error))

    def spoken_format(self) -> InboundFormat:
        """The API whose words responses are in: by default OpenAI's."""
        return OPENAI

    def named_headers(self) -> dict[str, str]:
        """`headers` in the names of the API that the client speaks."""
        return self.spoken_format().headers(self.headers, datetime.now(UTC))

    def error_body(self, error: exceptions.NativeError) -> bytes:
        """The body of an error response, in the envelope of the API that the client speaks."""
        return self.spoken_format().error(self.reword(error), self.request_id)

    def reword(self, error: exceptions.NativeError) -> exceptions.NativeError:
        """The error in the client's words, if a dialect has raised it in those of the unified
        request."""
        spoken = self.spoken_format()
        if not spoken.field_names:
            return error
        if isinstance(error, exceptions.UnsupportedField):
            return exceptions.UnsupportedField(spoken.rename_field(error.path), error.reason)
        if isinstance(error, exceptions.UpstreamError) and error.param:
            error.param = spoken.rename_field(error.param)
        return error

    def error_status(self, error: exceptions.NativeError) -> int:
        """The status of an error response."""
        return self.spoken_format().status(error)

    def _log(self, request: HttpRequest, response: HttpResponseBase, started: float) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        extra = {
            "request_id": self.request_id,  # for formatters that do not know the context variable
            "status": response.status_code,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "model": self.headers.get("x-native-model"),
            "provider": self.headers.get("x-native-provider"),
        }
        with suppress(Exception):  # a site's filter that fails costs the line, not the response
            logger.info("%s %s %s", request.method, request.path, response.status_code, extra=extra)
