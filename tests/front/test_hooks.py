"""DRF's hooks of a site's view: each runs where DRF would run it, or the class cannot be made."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from rest_framework.exceptions import PermissionDenied
from rest_framework.metadata import SimpleMetadata
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.views import APIView

from native_api.views import (
    ChatCompletionsView,
    LiveView,
    ModelListView,
    NativeView,
    UsageView,
    exception_handler,
)
from native_api.views.hooks import ASYNC_HOOKS, ENTRY_POINTS, PLAIN_HOOKS
from tests.front import recorded_views
from tests.front.recorded_views import SCENARIOS, calls, recorded

HANDLERS = {"options"}
ON_THE_LOOP = {"setup"}
"""Django calls it, before there is a view to run hooks."""

OVERRIDABLE = sorted(ASYNC_HOOKS | PLAIN_HOOKS.keys())
METADATA = {"get_view_name", "get_view_description"}
SERVERS = ["wsgi", "asgi"]


@pytest.fixture(autouse=True)
def nothing_recorded() -> Iterator[None]:
    calls.clear()
    recorded_views.on_event_loop.clear()
    yield
    calls.clear()


def request_to(view: Any, server: str, method: str = "get", query: str = "", **headers: str) -> Any:
    """The response of a site that has this view alone."""
    address = f"/?handler={query}"
    with override_settings(ROOT_URLCONF=(path("", view),)):
        if server == "wsgi":
            client = Client(raise_request_exception=False)
            return getattr(client, method)(address, headers=headers)

        async def ask() -> Any:
            client = AsyncClient(raise_request_exception=False)
            return await getattr(client, method)(address, headers=headers)

        return asyncio.run(ask())


# --- every hook, taken from DRF's class ----------------------------------------------------------


def public_methods() -> set[str]:
    return {
        name
        for name in dir(APIView)
        if not name.startswith("_")
        and (
            callable(value := inspect.getattr_static(APIView, name)) or isinstance(value, property)
        )
        and not inspect.isclass(value)
    } | {"as_view"}


def test_each_method_of_drf_has_been_decided_about() -> None:
    decided = ASYNC_HOOKS | PLAIN_HOOKS.keys() | ENTRY_POINTS | HANDLERS
    assert public_methods() == decided


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_hooks_run_in_the_order_of_drf(scenario: str, is_async: bool, server: str) -> None:
    method, query, attributes = SCENARIOS[scenario]
    # DRF puts `Allow` on every response, and answers errors with its own Response: we do neither.
    unlike = {"allowed_methods"} | ({"get_renderer_context"} if query != "response" else set())
    names = [name for name in OVERRIDABLE if name not in unlike]
    request_to(recorded(APIView, names, False, **attributes).as_view(), "wsgi", method, query)
    expected = calls.copy()
    calls.clear()
    request_to(recorded(NativeView, names, is_async, **attributes).as_view(), server, method, query)
    assert calls == expected
    assert recorded_views.on_event_loop - ON_THE_LOOP == (
        ASYNC_HOOKS & set(calls) if is_async else set()
    )


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", OVERRIDABLE)
def test_a_hook_runs_if_it_alone_is_overridden(name: str, server: str) -> None:
    for method, query, attributes in SCENARIOS.values():
        request_to(
            recorded(NativeView, [name], False, **attributes).as_view(), server, method, query
        )
    view = recorded(NativeView, [name], False, metadata_class=SimpleMetadata).as_view()
    request_to(view, server, "options")
    assert set(calls) == {name}
    assert recorded_views.on_event_loop <= ON_THE_LOOP


@pytest.mark.parametrize("name", sorted(PLAIN_HOOKS))
def test_a_plain_hook_cannot_be_async(name: str) -> None:
    async def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        return None

    with pytest.raises(TypeError, match=f"Staff.{name} must be a plain function"):
        type("Staff", (recorded_views.Handlers, NativeView), {name: override})


# --- what a site does with them ------------------------------------------------------------------


class Deny(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class Open(NativeView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []

    async def get(self, request: Any) -> HttpResponse:
        return HttpResponse(b"ok")


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["message"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("view", [ChatCompletionsView, ModelListView, UsageView, LiveView])
def test_a_subclass_and_as_view_set_the_policies(view: Any, server: str) -> None:
    attributes = {"authentication_classes": [], "permission_classes": [Deny]}
    method = "post" if view is ChatCompletionsView else "get"
    staff = type("Staff", (view,), attributes)
    for each in (staff.as_view(), view.as_view(**attributes)):
        response = request_to(each, server, method)
        assert error_of(response) == (403, "This caller may not do that.")
        assert response.json()["error"]["type"] == "permission_error"


@override_settings(NATIVE_API={"DEFAULT_PERMISSION_CLASSES": [Deny]})
def test_the_settings_are_read_each_time() -> None:
    assert NativeView.permission_classes == NativeView().permission_classes == [Deny]
    with override_settings(NATIVE_API={"DEFAULT_PERMISSION_CLASSES": []}):
        assert NativeView.permission_classes == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", SERVERS)
def test_a_synchronous_hook_may_use_the_orm(server: str) -> None:
    class Counted(Open):
        def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
            super().initial(request, *args, **kwargs)
            self.headers["x-users"] = str(User.objects.count())

        def get_permissions(self) -> list[Any]:
            return [] if User.objects.exists() else [Deny()]

    assert error_of(request_to(Counted.as_view(), server))[0] == 403
    User.objects.create(username="alice")
    assert request_to(Counted.as_view(), server).headers["x-users"] == "1"


@pytest.mark.parametrize("server", SERVERS)
def test_handle_exception_may_answer_or_raise(server: str) -> None:
    class Own(Open):
        async def get(self, request: Any) -> HttpResponse:
            raise KeyError("a secret")

        def handle_exception(self, exc: Exception) -> HttpResponse:
            if "raise" in self.request.query_params["handler"]:
                raise PermissionDenied("Not you.")
            return HttpResponse(b"mine", status=418)

    response = request_to(Own.as_view(), server)
    assert (response.status_code, response.content) == (418, b"mine")
    assert response.headers["cache-control"] == "no-store"
    assert error_of(request_to(Own.as_view(), server, query="raise")) == (403, "Not you.")


def test_an_exception_handler_of_its_own_is_used() -> None:
    async def of_the_site(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
        response = exception_handler(exc, context)
        if response is not None:
            response.headers["x-handled"] = type(context["view"]).__name__
        return response

    class Own(Open):
        permission_classes = [Deny]

        def get_exception_handler(self) -> Any:
            return of_the_site

    assert request_to(Own.as_view(), "asgi").headers["x-handled"] == "Own"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("is_async", [False, True])
def test_finalize_response_may_add_headers_or_replace_the_response(
    server: str, is_async: bool
) -> None:
    def finalized(response: Any) -> Any:
        del response.headers["vary"]
        response.headers["x-team"] = "a"
        return response

    class Sync(Open):
        def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
            if request.query_params["handler"] == "replace":
                return HttpResponse(b"other", headers={"cache-control": "max-age=9"})
            return finalized(super().finalize_response(request, response, *args, **kwargs))

    class Async(Open):
        async def finalize_response(
            self, request: Any, response: Any, *args: Any, **kwargs: Any
        ) -> Any:
            if request.query_params["handler"] == "replace":
                return HttpResponse(b"other", headers={"cache-control": "max-age=9"})
            return finalized(await super().finalize_response(request, response, *args, **kwargs))

    view = (Async if is_async else Sync).as_view()
    added, replaced = request_to(view, server), request_to(view, server, query="replace")
    assert (added.content, added.headers["x-team"]) == (b"ok", "a")
    assert "vary" not in added.headers
    assert (replaced.content, replaced.headers["cache-control"]) == (b"other", "max-age=9")
    assert replaced.headers["x-request-id"]


def test_many_requests_at_once_do_not_wait_for_each_other_s_threads() -> None:
    class Slow(Open):
        permission_classes = [recorded_views.Allow]

        def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
            super().initial(request, *args, **kwargs)

        def check_permissions(self, request: Any) -> None:
            super().check_permissions(request)

    async def ask() -> list[int]:
        client = AsyncClient()
        responses = await asyncio.gather(*(client.get("/") for _ in range(100)))
        return [response.status_code for response in responses]

    with override_settings(ROOT_URLCONF=(path("", Slow.as_view()),)):
        assert asyncio.run(asyncio.wait_for(ask(), 60)) == [200] * 100


def test_authentication_may_be_left_to_whoever_needs_the_user() -> None:
    class Lazy(Open):
        authentication_classes = [recorded_views.Alice]
        permission_classes = [IsAuthenticated]

        def perform_authentication(self, request: Any) -> None:
            pass

        async def get(self, request: Any) -> HttpResponse:
            return HttpResponse((await self.get_caller(request)).user_name)

    assert request_to(Lazy.as_view(), "asgi").content == b"alice"


@pytest.mark.parametrize("server", SERVERS)
def test_super_that_is_not_awaited_lets_nobody_in(server: str) -> None:
    class Careless(Open):
        permission_classes = [Deny]

        async def check_permissions(self, request: Any) -> None:
            super().check_permissions(request)

    response = request_to(Careless.as_view(), server)
    assert error_of(response)[0] == 500


# --- what a class cannot have --------------------------------------------------------------------


def no(*args: Any, **kwargs: Any) -> Any:
    return None


async def nothing(*args: Any, **kwargs: Any) -> Any:
    return None


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "a sync dispatch": ({"dispatch": no}, "dispatch must be 'async def'"),
    "a sync handler over an async one": ({"post": no}, "post must be 'async def'"),
    "a sync options": ({"options": no}, "options must be 'async def'"),
    "parsers that no handler uses": ({"parser_classes": []}, "parser_classes would never be used"),
    "objects that no handler has": (
        {"check_object_permissions": no},
        "check_object_permissions would never be used",
    ),
    "a hook that is no method": ({"initial": staticmethod(no)}, "initial must be a method"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_would_not_run_makes_the_class_raise(case: str) -> None:
    attributes, message = IMPOSSIBLE[case]
    with pytest.raises(TypeError, match=f"Staff.{message}"):
        type("Staff", (ChatCompletionsView,), {"__module__": __name__, **attributes})


@pytest.mark.parametrize("name", [*OVERRIDABLE, "dispatch"])
def test_as_view_takes_no_method(name: str) -> None:
    with pytest.raises(TypeError, match=rf"cannot replace the method {name}\(\)"):
        ChatCompletionsView.as_view(**{name: no})


def test_as_view_takes_no_parsers_for_our_handlers() -> None:
    with pytest.raises(TypeError, match="parser_classes would never be used"):
        ChatCompletionsView.as_view(parser_classes=[])


def test_mixins_are_all_sync_or_all_async() -> None:
    sync, other = type("Sync", (), {"initial": no}), type("Async", (), {"initial": nothing})
    with pytest.raises(TypeError, match=r"Staff.initial is 'async def' in one class"):
        type("Staff", (sync, other, ChatCompletionsView), {})
    assert type("Staff", (sync, ChatCompletionsView), {}).overridden == {"initial"}


def test_a_view_that_overrides_nothing_does_nothing_more() -> None:
    class Plain(ChatCompletionsView):
        permission_classes = [Deny]

    assert (Plain.overridden, Plain.sync_handlers) == (frozenset(), frozenset())
