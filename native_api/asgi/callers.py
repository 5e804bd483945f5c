"""What a request's headers say about its caller, before its body is read.

Nothing is said unless all authentication classes tell which headers they read
(`credential_headers`), and a permission class refuses those who are not authenticated. Nobody is
refused here: that is the view's work, and it decides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import ResolverMatch

from native_api.asgi.bodies import Scope
from native_api.conf import usable_settings

# What needs models is imported when used: this module is imported before Django is set up.


class Caller:
    """The caller of one request, as far as its headers tell."""

    def __init__(self, scope: Scope, match: ResolverMatch, request_of: Callable[[], Any]) -> None:
        """`request_of` makes the Django request without its body; None if it cannot be made."""
        classes, permissions = (
            usable_settings.DEFAULT_AUTHENTICATION_CLASSES,
            usable_settings.DEFAULT_PERMISSION_CLASSES,
        )
        needed = _needed_headers(
            getattr(match.func, "cls", None), tuple(classes), tuple(permissions)
        )
        self._can_be_told = needed is not None
        self._request_of = request_of
        self.is_nobody = needed is not None and not any(
            _is_credential(name, value, needed) for name, value in scope["headers"]
        )
        """Whether the request carries nothing that could authenticate it."""

    async def is_known(self) -> bool:
        """Whether the caller is authenticated; True as well if only the view can find out."""
        from native_api.views.policies import has_async_twin

        if self.is_nobody:
            return False
        classes = usable_settings.DEFAULT_AUTHENTICATION_CLASSES
        if not self._can_be_told or not all(
            has_async_twin(each, "authenticate") for each in classes
        ):
            return True
        request = self._request_of()
        return request is not None and await _is_authenticated(request, classes)


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
    view: Any, authentication: tuple[Any, ...], permissions: tuple[Any, ...]
) -> frozenset[str] | None:
    """The headers of which callers of this view need one; None if there may be other ways."""
    from native_api.authentication import credential_headers

    needed = [credential_headers(each) for each in authentication]
    known = [names for names in needed if names is not None]
    if (
        not known
        or len(known) < len(needed)
        or not _has_sites_policies(view)
        or not any(map(_refuses_nobody, permissions))
    ):
        return None
    return frozenset(name for names in known for name in names)


def _has_sites_policies(view: Any) -> bool:
    """Whether the view is one of the gateway's that ask whoever the settings say."""
    from native_api.views.base import NativeView

    names = ("get_authenticators", "get_permissions")
    is_ours = getattr(view, "__module__", "").startswith("native_api.")
    return is_ours and all(getattr(view, name) is getattr(NativeView, name) for name in names)


def _refuses_nobody(permission: Any) -> bool:
    """Whether the class refuses callers that are not authenticated."""
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
