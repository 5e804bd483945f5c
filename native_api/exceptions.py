"""Every error that the gateway can answer with: the class tree, and each error's status, type and
code.

Errors are raised anywhere, dialects included, and rendered by each API's error envelope. Nothing
here uses Django.

    NativeError                    500 server_error             internal_error
    ├── InvalidRequest             400 invalid_request_error    invalid_request
    │   └── UnsupportedField       400 invalid_request_error    unsupported_field
    ├── NotAuthenticated           401 authentication_error     missing_api_key
    │   └── InvalidApiKey          401 authentication_error     invalid_api_key
    ├── BudgetExceeded             402 budget_error             budget_exceeded
    ├── PermissionDenied           403 permission_error         permission_denied
    │   └── ModelNotAllowed        403 permission_error         model_not_allowed
    ├── NotFound                   404 not_found_error          not_found
    │   └── ModelNotFound          404 not_found_error          model_not_found
    ├── MethodNotAllowed           405 invalid_request_error    method_not_allowed
    ├── NotAcceptable              406 invalid_request_error    not_acceptable
    ├── RequestTimeout             408 invalid_request_error    request_timeout
    ├── RequestTooLarge            413 invalid_request_error    request_too_large
    ├── UnsupportedMediaType       415 invalid_request_error    unsupported_media_type
    ├── RateLimited                429 rate_limit_error         rate_limit_exceeded
    ├── UpstreamError              502 upstream_error           provider_error (see its docstring)
    ├── UpstreamTimeout            504 upstream_timeout         upstream_timeout
    ├── NoTargetAvailable          503 service_unavailable      no_target_available
    ├── Overloaded                 503 service_unavailable      overloaded
    ├── Misconfigured              503 service_unavailable      misconfigured
    │   └── ProviderUnusable       503 service_unavailable      misconfigured
    └── DatabaseUnavailable        503 service_unavailable      database_unavailable
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isnan
from typing import Any, ClassVar, Final

__all__ = [
    "BudgetExceeded", "ConfigurationError", "DatabaseUnavailable", "InvalidApiKey",
    "InvalidRequest", "MethodNotAllowed", "Misconfigured", "ModelNotAllowed", "ModelNotFound",
    "NativeError", "NoTargetAvailable", "NotAcceptable", "NotAuthenticated", "NotFound",
    "Overloaded", "PermissionDenied", "ProviderFault", "ProviderUnusable", "RateLimited",
    "RequestTimeout", "RequestTooLarge", "SettingError", "UnreadableSecret", "UnsupportedField",
    "UnsupportedMediaType", "UpstreamError", "UpstreamTimeout",
]  # fmt: skip

MAX_RETRY_AFTER: Final = 300.0
"""Seconds. A provider's longer Retry-After is cut to this, because some send days."""

DEFAULT_RETRY_AFTER: Final = 5.0
"""Seconds, for a provider's 429 without a Retry-After."""

MAX_PROVIDER_MESSAGE: Final = 500
"""Characters of a provider's message that are passed on. `upstream.redaction` cuts it, after it has
redacted secrets."""


class NativeError(Exception):
    """An error that is answered. `message` is for the client, so it contains no secret, no
    provider's URL and no stack."""

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    default_message: ClassVar[str] = (
        "The gateway failed to handle this request. The failure has been logged."
    )

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or self.default_message
        super().__init__(self.message)
        self.code = code or self.code
        self.param = param
        self.headers = dict(headers or {})
        self.provider: str | None = None
        self.refused_by: dict[str, Any] | None = None
        """For the usage record: the limit that refused the call, if a limit did."""


class InvalidRequest(NativeError):
    """The client has to change the request. `param` names the place."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    default_message = "The request is not valid."


class UnsupportedField(InvalidRequest):
    """A dialect cannot express this field, and omitting it would change the meaning of the
    reply."""

    code = "unsupported_field"

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"{param}: {reason}", param=param)
        self.path, self.reason = param, reason


class NotAuthenticated(NativeError):
    """No credential was sent."""

    status = 401
    type = "authentication_error"
    code = "missing_api_key"
    default_message = "No API key was sent. Send it as 'Authorization: Bearer KEY'."


class InvalidApiKey(NotAuthenticated):
    """A credential was sent, and it is not valid."""

    code = "invalid_api_key"
    default_message = "The API key is not valid."


class BudgetExceeded(NativeError):
    """A budget is used up, or what is left of it does not suffice for this call."""

    status = 402
    type = "budget_error"
    code = "budget_exceeded"
    default_message = "The budget for this caller is used up."


class PermissionDenied(NativeError):
    """The caller is known and may not do that."""

    status = 403
    type = "permission_error"
    code = "permission_denied"
    default_message = "This caller may not do that."


class ModelNotAllowed(PermissionDenied):
    """The caller may not use that model."""

    code = "model_not_allowed"
    default_message = "This caller may not use that model."


class NotFound(NativeError):
    """There is nothing at this URL."""

    status = 404
    type = "not_found_error"
    code = "not_found"
    default_message = "There is nothing at this URL."


class ModelNotFound(NotFound):
    """There is no model of that name."""

    code = "model_not_found"
    default_message = "There is no such model."


class MethodNotAllowed(NativeError):
    """The URL does not support that HTTP method."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"
    default_message = "This URL does not support that method."


class NotAcceptable(NativeError):
    """The client accepts none of the media types that the URL can answer with."""

    status = 406
    type = "invalid_request_error"
    code = "not_acceptable"
    default_message = (
        "This URL can only answer with application/json or text/event-stream. Accept one of them."
    )


class RequestTimeout(NativeError):
    """The client did not send its whole body in time."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"
    default_message = "The request body did not arrive in time."


class RequestTooLarge(NativeError):
    """The body has more bytes than MAX_BODY_BYTES allows."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"
    default_message = "The request body is too large. Send less."


class UnsupportedMediaType(NativeError):
    """The body is not JSON."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"
    default_message = "Send the request as application/json."


class RateLimited(NativeError):
    """A throttle or a limit of the site refused the call. Give it the header that says when to try
    again, in seconds: `headers={"retry-after": "30"}`."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    default_message = "Too many requests."


class ProviderFault(NativeError):
    """An error that a provider caused.

    `upstream_status` is the provider's HTTP status, or None without one (failed connection, invalid
    reply, an error inside a 200). `retry_after` is in seconds, at most `MAX_RETRY_AFTER`.
    `should_retry` is the provider's `x-should-retry` header, or None if it sent none.
    """

    upstream_status: int | None = None
    retry_after: float | None = None
    should_retry: bool | None = None


class UpstreamError(ProviderFault):
    """The provider answered with an error, or with an invalid reply.

    Dialects raise and return it with the provider's meaning in `code`. An error that the client
    must correct is a 400 (`context_length_exceeded`, `content_policy_violation`,
    `invalid_request`), a rate-limited provider is a 429 (`rate_limit_exceeded`), and everything
    else is a 502 (`provider_error`).
    """

    status = 502
    type = "upstream_error"
    code = "provider_error"
    default_message = "The provider failed."

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 502,
        code: str = "provider_error",
        param: str | None = None,
        upstream_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.status = status
        self.type = _UPSTREAM_TYPES.get(status, "upstream_error")
        self.upstream_status = upstream_status
        if retry_after is not None and not isnan(retry_after):
            self.retry_after = min(max(retry_after, 0.0), MAX_RETRY_AFTER)
        if status == 429:
            self.headers["retry-after"] = str(
                ceil(DEFAULT_RETRY_AFTER if self.retry_after is None else self.retry_after)
            )
        if upstream_status in (401, 403, 404):
            self.headers["x-should-retry"] = "false"


_UPSTREAM_TYPES: Final = {
    400: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class UpstreamTimeout(ProviderFault):
    """The provider did not answer within the TIMEOUTS."""

    status = 504
    type = "upstream_timeout"
    code = "upstream_timeout"
    default_message = "The provider did not answer in time. Try again, or use another model."


class NoTargetAvailable(NativeError):
    """No target of the route can take the call now: all are out of order or occupied."""

    status = 503
    type = "service_unavailable"
    code = "no_target_available"
    default_message = "No provider can serve this model right now."


class Overloaded(NativeError):
    """This process has no capacity for the request."""

    status = 503
    type = "service_unavailable"
    code = "overloaded"
    default_message = "The gateway is handling too many requests. Try again shortly."


class Misconfigured(NativeError):
    """The site's settings are invalid, so no request is answered until an operator corrects them.

    `reason` is for operators; the message to clients contains nothing of it.
    """

    status = 503
    type = "service_unavailable"
    code = "misconfigured"
    default_message = (
        "The gateway is not set up correctly at this site. The site's operators can find the "
        "reason in its log."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(headers={"retry-after": "60", "x-should-retry": "false"})
        self.reason = reason


class ProviderUnusable(Misconfigured):
    """A provider was not called, because its row or settings are invalid. Nothing was sent, so
    another target may be tried."""

    default_message = (
        "The provider of this model is not set up correctly at this site. The site's operators "
        "can find the reason in its log."
    )


class DatabaseUnavailable(NativeError):
    """The database is needed for this request and cannot be reached."""

    status = 503
    type = "service_unavailable"
    code = "database_unavailable"
    default_message = "The API key cannot be looked up right now. Try again shortly."


# --- not answered themselves ---------------------------------------------------------------------


class ConfigurationError(ValueError):
    """A setting or a row cannot be used.

    `message` says what is wrong and `hint` what to do. Both are for operators; neither contains a
    secret.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}"


class SettingError(ConfigurationError):
    """A member of `NATIVE_API` is invalid.

    `path` names it: `NATIVE_API['LIMITS'][0]`. It contains no values, so it may be shown to all.
    """

    def __init__(self, path: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {super().__str__()}"


class UnreadableSecret(ConfigurationError):
    """A stored secret cannot be read.

    `moved` is True if the secret can be decrypted but was stored for another address.
    """

    def __init__(self, message: str, hint: str, moved: bool = False) -> None:
        super().__init__(message, hint)
        self.moved = moved
