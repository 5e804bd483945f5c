"""Error responses for addresses without an endpoint: below the prefix and, if a project wants it,
anywhere on the site."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from native_api.exceptions import InvalidRequest, NativeError, NotFound
from native_api.inbound.base import InboundFormat
from native_api.inbound.body_limits import MATCH, REFUSAL
from native_api.views import private_api
from native_api.views.error_responses import envelope_response
from native_api.views.health import OpenView
from native_api.views.nearest_url import describe_missing
from native_api.views.spoken_formats import format_of_request, format_of_view


class UnknownView(OpenView):
    """404 for every other URL below the prefix."""

    needs_middleware = False

    async def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """The answer is the same for every method, and nothing has to be negotiated."""
        raise NotFound(describe_missing(private_api.django_request(request)))

    def spoken_format(self) -> InboundFormat:
        return format_of_request(private_api.django_request(self.request))


class RootView(UnknownView):
    """The URLs that clients take for the API's own. HEAD answers 200, to everybody: Claude Code
    sends it before anything else (2.1.197, seen 2026-11)."""

    async def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        if request.method != "HEAD":
            await super().initial(request, *args, **kwargs)

    async def head(self, request: Any) -> HttpResponse:
        return HttpResponse()


class RefusedView(OpenView):
    """Answers a request whose body `native_api.asgi` refuses to read."""

    needs_middleware = False

    async def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        raise private_api.django_request(request).scope[REFUSAL]  # type: ignore[attr-defined]

    def spoken_format(self) -> InboundFormat:
        """That of the view which would have answered."""
        request: Any = private_api.django_request(self.request)
        view = request.scope[MATCH].func
        return format_of_view(view) or format_of_request(request)


refused = RefusedView.as_view()


@csrf_exempt
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A `handler404`, and a last URL pattern: answers in the envelope and says where the API is.

    As a pattern it also answers where DEBUG would show Django's own page.
    """
    return envelope_response(NotFound(describe_missing(request)), format_of_request(request))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A `handler400` that answers in the envelope."""
    return envelope_response(InvalidRequest(), format_of_request(request))


def server_error(request: HttpRequest) -> HttpResponse:
    """A `handler500` that answers in the envelope."""
    return envelope_response(NativeError(), format_of_request(request))
