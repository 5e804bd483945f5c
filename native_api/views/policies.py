"""Running authentication, permission and throttle classes, the gateway's own and a site's, and the
site's function for callers.

A class with an async twin of its method (`aauthenticate`, `ahas_permission`, `aallow_request`) is
awaited on the event loop, and so is an async function. Any other runs in a worker thread, so it may
use the ORM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, Final

from rest_framework import permissions

from native_api.conf import setting_path, usable_settings
from native_api.exceptions import SettingError
from native_api.types import Caller
from native_api.views import private_api
from native_api.views.hooks import awaited, run_in_thread

NEEDS_NO_THREAD: Final = frozenset(
    {
        permissions.AllowAny,
        permissions.IsAuthenticated,
        permissions.IsAdminUser,
        permissions.IsAuthenticatedOrReadOnly,
    }
)
"""DRF's own permission classes that only look at the request."""


class PolicySetting:
    """A class attribute of a view: the classes of a NATIVE_API setting, read each time. A subclass
    or `as_view()` replaces it with a list of its own.

    An invalid setting is refused by `require_valid` before a request gets here.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, view: Any, owner: Any = None) -> list[Any]:
        classes: list[Any] = getattr(usable_settings, self._name)
        return classes


async def authenticate(view: Any, authenticator: Any, request: Any) -> Any:
    """The caller and the credentials, or None."""
    if _is_async(authenticator, "authenticate"):
        return await authenticator.aauthenticate(request)
    return await awaited(await run_in_thread(view, authenticator.authenticate, request))


async def has_permission(view: Any, permission: Any, request: Any) -> bool:
    if type(permission) in NEEDS_NO_THREAD and not _must_authenticate_first(view, request):
        return bool(permission.has_permission(request, view))
    return await _allows(view, permission, "has_permission", request)


async def allows_request(view: Any, throttle: Any, request: Any) -> bool:
    return await _allows(view, throttle, "allow_request", request)


async def call_caller_function(view: Any, function: Callable[[Any], Any], request: Any) -> Caller:
    """The caller that the setting CALLER finds. Raises SettingError if it finds anything else."""
    if not iscoroutinefunction(function):
        caller = await awaited(await run_in_thread(view, function, request))
    else:
        if _must_authenticate_first(view, request):
            await run_in_thread(view, getattr, request, "user")
        caller = await function(request)
    if not isinstance(caller, Caller):
        raise SettingError(
            setting_path("CALLER"),
            f"the function returned {type(caller).__name__}, which is not a Caller",
            "Return a native_api.types.Caller; native_api.authentication.default_caller makes one.",
        )
    return caller


async def _allows(view: Any, policy: Any, method: str, request: Any) -> bool:
    if _is_async(policy, method) and not _must_authenticate_first(view, request):
        return bool(await getattr(policy, f"a{method}")(request, view))
    return bool(await awaited(await run_in_thread(view, getattr(policy, method), request, view)))


def _must_authenticate_first(view: Any, request: Any) -> bool:
    """Whether reading `request.user` would authenticate, which an event loop must not do. So it is
    if a site's `perform_authentication` leaves that to whoever needs the user, as DRF allows."""
    return "perform_authentication" in view.overridden and not private_api.is_authentication_done(
        request
    )


def _is_async(policy: Any, method: str) -> bool:
    policy_class: Any = type(policy)
    return has_async_twin(policy_class, method)


@lru_cache(maxsize=256)
def has_async_twin(policy: Any, method: str) -> bool:
    """Whether the class's `aX` does the same as its `X`: not if a subclass overrides `X` alone."""
    for each in policy.__mro__:
        if f"a{method}" in vars(each):
            return True
        if method in vars(each):
            return False
    return False
