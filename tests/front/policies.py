"""Policy classes such as a site has of its own: synchronous, and using the ORM."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.throttling import SimpleRateThrottle

from native_api.throttling import CallerThrottle


class OfTheMiddleware(BaseAuthentication):
    """Whoever is logged in to the site, as its middleware found."""

    def authenticate(self, request: Any) -> Any:
        user = request._request.user
        return (user, None) if user.is_authenticated else None


class NameAuthentication(BaseAuthentication):
    """`Authorization: Name alice`."""

    needs_middleware = False

    def authenticate(self, request: Any) -> Any:
        scheme, _, name = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme != "Name":
            return None
        user = get_user_model().objects.filter(username=name).first()
        if user is None:
            raise AuthenticationFailed("There is no such user.")
        return user, None


class TokenInTheBody(BaseAuthentication):
    """The body's own `user`."""

    def authenticate(self, request: Any) -> Any:
        name = json.loads(request._request.body)["user"]
        return get_user_model().objects.get(username=name), None


class Stamp:
    """Middleware of the site's, synchronous as most is."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        response = self.get_response(request)
        response.headers["x-stamp"] = "seen"
        return response


class KeyInACookie:
    """Middleware that brings credentials from where the gateway does not look for them."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.META["HTTP_AUTHORIZATION"] = (
            f"Bearer {request.COOKIES['key']}" if "key" in request.COOKIES else ""
        )
        return self.get_response(request)


class NotOnFridays(BasePermission):
    message = "Not with that header."
    needs_middleware = False

    def has_permission(self, request: Any, view: Any) -> bool:
        return Permission.objects.exists() and "x-friday" not in request.headers


class Stricter(CallerThrottle):
    """Overrides the synchronous method alone."""

    needs_middleware = False

    def allow_request(self, request: Any, view: Any) -> bool:
        return "x-stricter" not in request.headers and super().allow_request(request, view)


class Broken(BasePermission):
    """Has a bug, and knows secrets."""

    needs_middleware = False

    def has_permission(self, request: Any, view: Any) -> bool:
        if "x-broken" in request.headers:
            raise RuntimeError("cannot reach postgres://user:sk-of-the-site@10.0.0.1/")
        return True


class ThreeADay(SimpleRateThrottle):
    rate = "3/day"
    needs_middleware = False

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        return f"three-a-day-{request.user.pk}" if request.headers.get("x-counted") else None
