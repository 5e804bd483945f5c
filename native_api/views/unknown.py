"""Any other address below the prefix, and (for a project that wants it) any other address of the site."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from native_api.exceptions import NativeError, NotFound
from native_api.renderers import error_envelope, to_json
from native_api.views.health import OpenView


class UnknownView(OpenView):
    async def _not_here(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        raise NotFound(f"There is nothing at {self.request.path[:200]}. See v1/chat/completions and v1/models below the prefix.")

    get = post = put = patch = delete = head = _not_here


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A `handler404` that answers in the envelope and says where the API is."""
    return _enveloped(NotFound(f"There is nothing at {request.path[:200]}. The API is below /native/v1/."))


def server_error(request: HttpRequest) -> HttpResponse:
    """A `handler500` that answers in the envelope."""
    return _enveloped(NativeError())


def _enveloped(error: NativeError) -> HttpResponse:
    return HttpResponse(to_json(error_envelope(error)), status=error.status, content_type="application/json")
