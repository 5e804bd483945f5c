"""Exceptions -> the gateway's errors -> responses in the client's envelope."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import Any, Final

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions as drf

from native_api import exceptions, logs
from native_api.inbound.base import InboundFormat
from native_api.inbound.headers import make_private
from native_api.views.misconfigured import misconfigured

logger = logs.get_logger("native_api.request")

DRF_ERRORS: Final[dict[int, type[exceptions.NativeError]]] = {
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


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The response to an exception, as DRF's function of this name: None if the exception is
    nothing that a client should be told of."""
    error = known_error(exc)
    return None if error is None else context["view"].error_response(error)


def native_error(error: Exception) -> exceptions.NativeError:
    """Any exception as one of ours. Unknown ones are logged here, with their stack, and tell the
    client nothing."""
    known = known_error(error)
    if known is not None:
        return known
    logger.error(
        "A request failed inside the gateway.",
        exc_info=error,
        extra={"request_id": logs.request_id.get()},
    )
    return exceptions.NativeError()


def known_error(error: Exception) -> exceptions.NativeError | None:
    """The error for an exception of ours, of DRF's or of Django's; None for any other."""
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
    return None


def _from_drf(error: drf.APIException) -> exceptions.NativeError:
    if isinstance(error, drf.AuthenticationFailed):
        return exceptions.InvalidApiKey(str(error.detail))
    kind = DRF_ERRORS.get(error.status_code, exceptions.NativeError)
    has_our_message = (
        isinstance(error, drf.NotAcceptable | drf.NotAuthenticated)
        or kind is exceptions.NativeError
    )
    native = kind() if has_our_message else kind(str(error.detail))
    wait = getattr(error, "wait", None)
    if wait is not None:
        native.headers["retry-after"] = str(max(1, ceil(wait)))
    return native


def json_response(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(
        body,
        status=status,
        headers={"content-type": "application/json", "content-length": str(len(body))},
    )


def envelope_response(error: exceptions.NativeError, spoken: InboundFormat) -> HttpResponse:
    """The response to a request that no view has seen, in the words of this API."""
    response = json_response(spoken.error(error, ""), spoken.status(error))
    for name, value in spoken.headers(error.headers, datetime.now(UTC)).items():
        response.headers[name] = value
    make_private(response)
    return response
