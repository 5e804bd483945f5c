"""What can be known of a view's policy classes before a request: the headers that they read, and
whether they, or the function of the setting CALLER, need what the site's middleware finds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from native_api.conf import usable_settings

# What needs models is imported when used: this module is imported before Django is set up.

POLICY_ATTRIBUTES: Final = ("authentication_classes", "permission_classes", "throttle_classes")

HOOKS_OF_CALLERS: Final = frozenset(
    {
        "check_permissions",
        "get_authenticators",
        "get_permissions",
        "initial",
        "initialize_request",
        "perform_authentication",
        "permission_denied",
    }
)
"""Methods of a view that may let in callers whom its classes would refuse."""


def is_native_view(view: Callable[..., Any]) -> bool:
    from native_api.views.base import NativeView

    view_class = getattr(view, "cls", None)
    return isinstance(view_class, type) and issubclass(view_class, NativeView)


def policy_classes(view: Any, attribute: str) -> list[Any]:
    """The classes in one of POLICY_ATTRIBUTES of a native view, as `as_view()` has set it or the
    class."""
    return list(view.initkwargs.get(attribute, getattr(view.cls, attribute)))


@lru_cache(maxsize=256)
def decides_callers_by_classes(view: Any) -> bool:
    """Whether the view's authentication and permission classes alone say who is let in."""
    return is_native_view(view) and not view.cls.overridden & HOOKS_OF_CALLERS


def needs_middleware(view: Any) -> bool:
    """Whether a view, or one of its policy classes, may need what the site's middleware finds."""
    if not is_native_view(view) or not view.csrf_exempt or view.login_required:
        return True
    is_ours = view.cls.__module__.startswith("native_api.")
    if view.cls.needs_middleware or (view.cls.needs_middleware is None and not is_ours):
        return True
    return any(
        _policy_needs_middleware(policy)
        for attribute in POLICY_ATTRIBUTES
        for policy in policy_classes(view, attribute)
    ) or _caller_needs_middleware(view)


def _caller_needs_middleware(view: Any) -> bool:
    """Whether the site's function for callers may. Views for everybody do not call it."""
    function = usable_settings.CALLER
    return (
        function is not None
        and bool(policy_classes(view, "authentication_classes"))
        and bool(getattr(function, "needs_middleware", True))
    )


def _policy_needs_middleware(policy: Any) -> bool:
    from rest_framework.authentication import RemoteUserAuthentication, SessionAuthentication

    if not isinstance(policy, type):  # permissions composed with & or |
        return True
    declared = getattr(policy, "needs_middleware", None)
    if declared is not None:
        return bool(declared)
    is_known = policy.__module__.partition(".")[0] in ("native_api", "rest_framework")
    return not is_known or issubclass(policy, SessionAuthentication | RemoteUserAuthentication)
