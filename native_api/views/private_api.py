"""What the views use of Django and DRF without a promise that it stays: one function for each name.

A test fails with a version of Django or DRF that is not listed here: read that version's code for
each function, then add it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import django
import rest_framework
from django.core import signals
from django.http import HttpRequest
from rest_framework.request import Request

CHECKED_DJANGO: Final = frozenset({(5, 2), (6, 0), (6, 1)})
CHECKED_DRF: Final = frozenset({(3, 16), (3, 17), (3, 18)})


def django_version() -> tuple[int, ...]:
    return django.VERSION[:2]


def drf_version() -> tuple[int, ...]:
    return tuple(map(int, rest_framework.VERSION.split(".")[:2]))


def is_django_checked() -> bool:
    return django_version() in CHECKED_DJANGO


def newer_versions() -> Iterator[tuple[str, str, str]]:
    """(name, installed version, newest checked version) of what is newer than was checked."""
    for name, version, checked in (
        ("Django", django_version(), CHECKED_DJANGO),
        ("Django REST Framework", drf_version(), CHECKED_DRF),
    ):
        if version > max(checked):
            yield name, _join(version), _join(max(checked))


def _join(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


# --- Django --------------------------------------------------------------------------------------


def keep_out_of_caches(request: HttpRequest) -> None:
    """Tell Django's UpdateCacheMiddleware not to keep the response.

    Its own answer to `no-store` depends on the release: those before 5.2.15 and 6.0.6 kept some
    responses all the same (CVE-2026-6907, CVE-2026-8404; seen 2026-11).
    """
    request._cache_update_cache = False  # type: ignore[attr-defined]


def has_site_receivers(sender: Any) -> bool:
    """Whether a receiver that is not Django's own hears of requests of this sender."""
    return any(
        not receiver.__module__.startswith("django.")
        for signal in (signals.request_started, signals.request_finished)
        for receivers in signal._live_receivers(sender)
        for receiver in receivers
    )


# --- DRF's Request -------------------------------------------------------------------------------


def django_request(request: Request | HttpRequest) -> HttpRequest:
    """The request that DRF's wraps. A view that has failed early may still have Django's own."""
    return request._request if isinstance(request, Request) else request


def is_authentication_done(request: Request) -> bool:
    """Whether `request.user` can be read without authenticating first."""
    return hasattr(request, "_user")


def set_caller(request: Request, authenticator: Any, user: Any, auth: Any) -> None:
    """What `Request._authenticate` does when an authentication class has found the caller."""
    request._authenticator = authenticator  # type: ignore[attr-defined]
    request.user, request.auth = user, auth


def set_unauthenticated(request: Request) -> None:
    """What `Request._authenticate` does when no authentication class has found a caller."""
    request._not_authenticated()  # type: ignore[attr-defined]
