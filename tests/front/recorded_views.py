"""Views whose every overridable method notes that it ran, and where: on DRF's APIView or ours."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from native_api.views import NativeView
from native_api.views.hooks import ASYNC_HOOKS

calls: list[str] = []
on_event_loop: set[str] = set()
"""The methods that ran on an event loop."""


class Unknown(BaseAuthentication):
    def authenticate(self, request: Any) -> None:
        return None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class Alice(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise AssertionError("on an event loop")
        return User(username="alice"), None


class Allow(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return True


class Deny(BasePermission):
    message = "Nobody may."

    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return False

    def wait(self) -> float:
        return 7


class Handlers:
    """What a test wants to happen, by the query."""

    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        what = request.query_params.get("handler", "")
        if what == "bug":
            raise RuntimeError("a bug in a handler")
        if what == "object":
            self.check_object_permissions(request, object())  # type: ignore[attr-defined]
        return Response({"ok": True}) if what == "response" else HttpResponse(b"ok")


def recorded(base: type[APIView], names: Iterable[str], is_async: bool, **attributes: Any) -> Any:
    """A subclass of `base` that overrides the methods with ones that call `super()`."""
    view: list[Any] = []
    for name in names:
        attributes[name] = _override(view, name, is_async and name in ASYNC_HOOKS)
    classes = {"authentication_classes": [], "permission_classes": [], "throttle_classes": []}
    bases = (Handlers, base) if "get" not in attributes else (base,)
    view.append(type("Recorded", bases, {**classes, "__module__": __name__, **attributes}))
    return view[0]


def _override(view: list[Any], name: str, is_async: bool) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _note(name)
        return getattr(super(view[0], self), name)(*args, **kwargs)

    async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _note(name)
        return await getattr(super(view[0], self), name)(*args, **kwargs)

    def value(self: Any) -> Any:
        _note(name)
        return getattr(super(view[0], self), name)

    if isinstance(inspect.getattr_static(APIView, name), property):
        return property(value)
    return async_method if is_async else method


def _note(name: str) -> None:
    calls.append(name)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    on_event_loop.add(name)


SCENARIOS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a good request": ("get", "", {}),
    "DRF's Response": ("get", "response", {}),
    "an object": ("get", "object", {"permission_classes": [AllowAny]}),
    "no such method": ("put", "", {}),
    "not authenticated": (
        "get",
        "",
        {"authentication_classes": [Unknown], "permission_classes": [Deny]},
    ),
    "not permitted": ("get", "", {"permission_classes": [AllowAny, Deny]}),
    "throttled": ("get", "", {"throttle_classes": [Never]}),
    "a bug": ("get", "bug", {}),
}
"""The HTTP method, what the handler does, and the attributes of the view."""

__all__ = ["SCENARIOS", "APIView", "Deny", "NativeView", "Never", "calls", "recorded"]
