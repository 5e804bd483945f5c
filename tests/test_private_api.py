"""The private names of Django and DRF that the app uses are what they were when they were read, and
nothing else of another library that is private is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import django
import pytest
import rest_framework
from django.core.cache import cache
from django.http import HttpResponse
from django.middleware.cache import UpdateCacheMiddleware
from django.test import RequestFactory
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from native_api.asgi import middleware
from native_api.checks import versions
from native_api.views import private_api
from tests.servers import ROOT


def request() -> Request:
    return Request(RequestFactory().get("/"), authenticators=[BaseAuthentication()])


def test_they_were_read_in_this_version_of_django() -> None:
    assert private_api.django_version() in private_api.CHECKED_DJANGO


def test_they_were_read_in_this_version_of_drf() -> None:
    assert private_api.drf_version() in private_api.CHECKED_DRF


def test_a_newer_version_is_a_warning_and_takes_no_short_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(versions.check_versions(None)) == []
    assert middleware.is_open()
    monkeypatch.setattr(django, "VERSION", (6, 2, 0, "alpha", 0))
    monkeypatch.setattr(rest_framework, "VERSION", "4.0.1")
    assert [(warning.id, warning.msg) for warning in versions.check_versions(None)] == [
        (
            "native_api.W004",
            f"{newer}, the newest version that this release was tested with.",
        )
        for newer in (
            "Django 6.2 is newer than 6.1",
            "Django REST Framework 4.0 is newer than 3.18",
        )
    ]
    assert not middleware.is_open()


def test_the_project_names_the_versions_of_django_that_were_checked() -> None:
    checked = [f"{major}.{minor}" for major, minor in sorted(private_api.CHECKED_DJANGO)]
    project = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r"Framework :: Django :: (\d+\.\d+)", project) == checked
    deployment = (ROOT / "docs" / "deployment.md").read_text()
    named = re.findall(r"the version of Django is not (.*);", deployment)
    assert re.findall(r"\d+\.\d+", named[0]) == checked


def test_a_caller_that_is_set_is_not_looked_for() -> None:
    known, authenticator = request(), BaseAuthentication()
    assert not private_api.is_authentication_done(known)
    private_api.set_caller(known, authenticator, "alice", "a key")
    assert private_api.is_authentication_done(known)
    assert (known.user, known.auth) == ("alice", "a key")
    assert known.successful_authenticator is authenticator
    assert private_api.django_request(known).user == "alice"  # type: ignore[attr-defined]


def test_a_request_without_a_caller_is_anonymous() -> None:
    unknown = request()
    private_api.set_unauthenticated(unknown)
    assert private_api.is_authentication_done(unknown)
    assert not unknown.user.is_authenticated
    assert unknown.successful_authenticator is None


def test_the_cache_middleware_does_not_keep_the_response() -> None:
    kept = RequestFactory().get("/kept")
    kept._cache_update_cache = True  # type: ignore[attr-defined]
    middleware = UpdateCacheMiddleware(lambda request: HttpResponse())
    cache.clear()
    private_api.keep_out_of_caches(kept)
    middleware.process_response(kept, HttpResponse(b"x"))
    assert not cache._cache  # type: ignore[attr-defined]


# --- elsewhere -----------------------------------------------------------------------------------

DOCUMENTED = {
    *("_meta", "_default_manager", "_base_manager"),  # Django's models
    *("_asdict", "_fields", "_replace"),  # named tuples
}
MODULES = [path for path in (ROOT / "native_api").rglob("*.py") if path.name != "private_api.py"]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def names_defined_in(tree: ast.AST) -> Iterator[str]:
    """Those of functions, classes, arguments, variables and attributes of `self`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def names_used_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)


def test_private_names_of_other_libraries_are_used_nowhere_else() -> None:
    trees = [ast.parse(path.read_text()) for path in MODULES]
    own = {name for tree in trees for name in names_defined_in(tree)}
    own |= {path.stem for path in MODULES}
    used = {name for tree in trees for name in names_used_in(tree)}
    assert set(filter(is_private, used)) - own <= DOCUMENTED
