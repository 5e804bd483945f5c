"""Policies of a site in which one named step of a call fails once. Only the failure is injected;
all that follows is the app's own."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

from django.http import HttpResponse

from native_api.authentication import ApiKeyAuthentication
from native_api.gateway import calls
from native_api.gateway.call_record import CallRecord
from native_api.inbound import headers
from native_api.routing import attempts
from native_api.routing.pool import TargetPermit
from native_api.views import inference
from native_api.views.base import NativeView
from tests.waiting import until

STEPS: dict[str, tuple[Any, str]] = {
    "the permit": (TargetPermit, "record_first_chunk"),
    "its speed": (attempts.AttemptLoop, "_record_latency"),
    "the first token": (CallRecord, "on_first_token"),
    "the reply's headers": (calls, "reply_headers"),
    "the answer's headers": (NativeView, "add_headers"),
    "the response": (inference, "EventStreamResponse"),
    "the events": (inference, "EventStream"),
    "a safe value": (headers, "safe_value"),
    "privacy": (headers, "make_private"),
}
"""Everything that is done between the first chunk of the provider and the hand-over to Django, in
this order."""

_failing: ContextVar[list[str]] = ContextVar("failing", default=[])  # noqa: B039  never changed; the request's own is set


def _fails_once(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if step in _failing.get():
            _failing.get().remove(step)
            raise RuntimeError("cannot reach postgres://user:sk-of-the-site@10.0.0.1/")
        return function(*arguments, **named)

    return call


for _step, (_owner, _name) in STEPS.items():
    setattr(_owner, _name, _fails_once(_step, getattr(_owner, _name)))


class Saboteur(ApiKeyAuthentication):
    """Lets keys in as ever; `x-fails: STEP` makes that step fail once in this request."""

    needs_middleware = False

    def authenticate(self, request: Any) -> Any:
        _failing.set([request.headers.get("x-fails", "")])
        return super().authenticate(request)

    async def aauthenticate(self, request: Any) -> Any:
        _failing.set([request.headers.get("x-fails", "")])
        return await super().aauthenticate(request)


class Drops:
    """Middleware that does not hand on the response: `x-drops: raises`, `replaces`, or the path of
    a file to wait for."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = self.get_response(request)
        how = request.headers.get("x-drops", "")
        if how == "raises":
            raise RuntimeError("a bug in a middleware")
        if how == "replaces":
            return HttpResponse("something else", status=418)
        if how:
            until(Path(how).exists, "the file that says to go on")
        return response
