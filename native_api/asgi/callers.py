"""What a request's headers say about its caller, before its body is read.

Nothing is said unless all authentication classes of the view declare which headers they read
(`credential_headers`), and a permission class refuses callers that are not authenticated. Nobody is
refused here: only the view refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import ResolverMatch

from native_api.asgi.bodies import Scope
from native_api.asgi.policies import decides_callers_by_classes, policy_classes

# What needs models is imported when used: this module is imported before Django is set up.


class Caller:
    """The caller of one request, as far as its headers tell."""

    def __init__(
        self, scope: Scope, match: ResolverMatch, create_request: Callable[[], Any]
    ) -> None:
        """`create_request` makes the Django request without its body, or None."""
        self._create_request = create_request
        self._classes: list[Any] = []
        needed = None
        if decides_callers_by_classes(match.func):
            self._classes = policy_classes(match.func, "authentication_classes")
            permissions = policy_classes(match.func, "permission_classes")
            needed = _needed_headers(tuple(self._classes), tuple(permissions))
        self._is_decided_by_headers = needed is not None
        self.is_anonymous = needed is not None and not any(
            _is_credential(name, value, needed) for name, value in scope["headers"]
        )
        """Whether the request carries nothing that could authenticate it."""

    async def is_authenticated(self) -> bool:
        """Whether the caller is authenticated; True as well if only the view can find out."""
        from native_api.views.policies import has_async_twin

        if self.is_anonymous:
            return False
        if not self._is_decided_by_headers or not all(
            has_async_twin(each, "authenticate") for each in self._classes
        ):
            return True
        request = self._create_request()
        return request is not None and await _is_authenticated(request, self._classes)


async def _is_authenticated(http_request: Any, classes: list[Any]) -> bool:
    from rest_framework.exceptions import AuthenticationFailed
    from rest_framework.request import Request

    from native_api.exceptions import NotAuthenticated

    request = Request(http_request)
    try:
        for each in classes:
            if await each().aauthenticate(request) is not None:
                return True
    except Exception as error:  # of the database, say: the view meets it too, and answers it
        return not isinstance(error, NotAuthenticated | AuthenticationFailed)
    return False


@lru_cache(maxsize=64)
def _needed_headers(
    authentication: tuple[Any, ...], permissions: tuple[Any, ...]
) -> frozenset[str] | None:
    """The headers of which a caller needs at least one; None if there may be other ways."""
    from native_api.authentication import credential_headers

    declared = [credential_headers(each) for each in authentication]
    known = [names for names in declared if names is not None]
    if (
        not known
        or len(known) < len(declared)
        or not any(map(_refuses_anonymous_callers, permissions))
    ):
        return None
    return frozenset(name for names in known for name in names)


def _refuses_anonymous_callers(permission: Any) -> bool:
    from rest_framework.permissions import IsAdminUser, IsAuthenticated

    return getattr(permission, "has_permission", None) in (
        IsAuthenticated.has_permission,
        IsAdminUser.has_permission,
    )


def _is_credential(name: bytes, value: bytes, needed: frozenset[str]) -> bool:
    """A cookie counts if it is the session's."""
    if name.decode("latin-1") not in needed:
        return False
    return (
        f"{settings.SESSION_COOKIE_NAME}=".encode() in value
        if name == b"cookie"
        else bool(value.strip())
    )
