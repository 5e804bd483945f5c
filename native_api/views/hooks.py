"""DRF's hooks in a view that runs on an event loop: which methods a site's subclass may override.

Rules:
1. The methods in ASYNC_HOOKS may be overridden with `async def`, which is awaited, or with `def`,
   which runs in a worker thread. A hook that is called on the event loop returns an awaitable; one
   that is called in a worker thread returns when it is done. So `super()` works in both.
2. All other methods of DRF's APIView stay plain functions. If a site's code runs in one, it is
   called in a worker thread.
3. An override that could not run as written raises TypeError when the class is made, or in
   `as_view()`. An override that forgets to await `super()` raises RuntimeError when it runs.
4. Everything is decided once for each class: a view that overrides nothing does no extra work.
"""

from __future__ import annotations

import asyncio
import inspect
import operator
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from typing import Any, Final

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.views import View

from native_api.background import database_calls
from native_api.background.executors import foreign_to_async

ASYNC_HOOKS: Final = frozenset(
    {
        "initial",
        "perform_authentication",
        "check_permissions",
        "check_throttles",
        "handle_exception",
        "finalize_response",
    }
)

PLAIN_HOOKS: Final[Mapping[str, frozenset[str]]] = {
    "allowed_methods": frozenset(),
    "check_object_permissions": frozenset(),
    "default_response_headers": frozenset({"allowed_methods"}),
    "determine_version": frozenset(),
    "get_authenticate_header": frozenset({"get_authenticators"}),
    "get_authenticators": frozenset(),
    "get_content_negotiator": frozenset(),
    "get_exception_handler": frozenset(),
    "get_exception_handler_context": frozenset(),
    "get_format_suffix": frozenset(),
    "get_parser_context": frozenset(),
    "get_parsers": frozenset(),
    "get_permissions": frozenset(),
    "get_renderer_context": frozenset(),
    "get_renderers": frozenset(),
    "get_throttles": frozenset(),
    "get_view_description": frozenset(),
    "get_view_name": frozenset(),
    "http_method_not_allowed": frozenset({"allowed_methods"}),
    "initialize_request": frozenset(
        {"get_authenticators", "get_content_negotiator", "get_parser_context", "get_parsers"}
    ),
    "perform_content_negotiation": frozenset({"get_content_negotiator", "get_renderers"}),
    "permission_denied": frozenset(),
    "raise_uncaught_exception": frozenset(),
    "setup": frozenset(),
    "throttled": frozenset(),
}
"""DRF's methods that return a value or raise, and the other ones that each of them calls.

Django calls `setup` itself, on the event loop, as it does for every async view.
"""

ENTRY_POINTS: Final = frozenset({"as_view", "dispatch"})
"""What calls the hooks."""

FOR_OWN_HANDLERS: Final = frozenset(
    {"check_object_permissions", "get_parser_context", "get_parsers", "parser_classes"}
)
"""What only a handler of the site's own can use: those of the gateway read the body themselves."""

Function = Callable[..., Any]


# --- running a hook ------------------------------------------------------------------------------


def hook(function: Function) -> Function:
    """Decorates an implementation of an async hook, as rule 1 says."""
    is_async = iscoroutinefunction(function)

    @wraps(function)
    def call(view: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_on_event_loop():
            return _start(view, function, is_async, *args, **kwargs)
        if is_async:
            return async_to_sync(_run_for_thread)(view, function, *args, **kwargs)
        return _result_in_thread(function(view, *args, **kwargs))

    call.is_hook = True  # type: ignore[attr-defined]
    return call


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _start(
    view: Any, function: Function, is_async: bool, *args: Any, **kwargs: Any
) -> Coroutine[Any, Any, Any]:
    """The coroutine that runs the hook."""
    if not view.overridden:
        coroutine: Coroutine[Any, Any, Any] = function(view, *args, **kwargs)
        return coroutine
    run = _run_async if is_async else _run_sync
    coroutine = run(view, function, *args, **kwargs)
    _started_hooks(view).append((function.__name__, coroutine))
    return coroutine


def _started_hooks(view: Any) -> list[tuple[str, Coroutine[Any, Any, Any]]]:
    started: list[tuple[str, Coroutine[Any, Any, Any]]] = vars(view).setdefault("_started", [])
    return started


async def _run_async(view: Any, function: Function, *args: Any, **kwargs: Any) -> Any:
    before = len(_started_hooks(view))
    result = await function(view, *args, **kwargs)
    for name, coroutine in _started_hooks(view)[before:]:
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()
            raise RuntimeError(
                f"{function.__qualname__} calls {name}() and does not await it. "
                f"Write 'await super().{name}(...)' or 'await self.{name}(...)'."
            )
    return result


async def _run_sync(view: Any, function: Function, *args: Any, **kwargs: Any) -> Any:
    return await awaited(await run_in_thread(view, function, view, *args, **kwargs))


async def awaited(result: Any) -> Any:
    """The result of a function that does not look async. A decorator around an async one may not
    look so."""
    return await result if inspect.isawaitable(result) else result


def _result_in_thread(result: Any) -> Any:
    return async_to_sync(awaited)(result) if inspect.isawaitable(result) else result


async def _run_for_thread(view: Any, function: Function, *args: Any, **kwargs: Any) -> Any:
    """An async hook that a worker thread waits for. The thread takes the calls that the hook makes
    in a thread: one more for each would leave none if many requests do this at once."""
    view.waiting_threads += 1
    try:
        return await _run_async(view, function, *args, **kwargs)
    finally:
        view.waiting_threads -= 1


async def run_in_thread(view: Any, function: Function, *args: Any, **kwargs: Any) -> Any:
    """Run a site's synchronous code in a worker thread, with database connections looked after as
    Django does for requests."""
    if view.waiting_threads:  # in the thread that waits, see `_run_for_thread`
        call = partial(database_calls.call_as_request, partial(function, *args, **kwargs))
        return await sync_to_async(call)()
    return await foreign_to_async(operator.call)(function, *args, **kwargs)


# --- deciding what a class overrides -------------------------------------------------------------


def prepare(view_class: Any, base: type) -> None:
    """Make a subclass of `base` run its hooks. Raises TypeError if it overrides what cannot run."""
    own = {name for name in _hooks_and_attributes() if _is_overridden(view_class, base, name)}
    for name in sorted(own & ASYNC_HOOKS):
        _refuse_mixed_kinds(view_class, base, name)
        method = inspect.getattr_static(view_class, name)
        if not inspect.isfunction(method):
            raise TypeError(f"{view_class.__name__}.{name} must be a method: write 'def {name}'.")
        if not hasattr(method, "is_hook"):
            setattr(view_class, name, hook(method))
    _refuse_async(view_class, sorted(own & PLAIN_HOOKS.keys()))
    _refuse_sync_dispatch(view_class)
    _refuse_unused(view_class, own & FOR_OWN_HANDLERS)
    view_class.overridden = frozenset(own) | {
        name for name, called in PLAIN_HOOKS.items() if called & own
    }
    view_class.sync_handlers = _sync_handlers(view_class)


def check_initkwargs(view_class: Any, initkwargs: Mapping[str, Any]) -> None:
    """Raises TypeError if `as_view()` gets something that would not run."""
    methods = sorted(initkwargs.keys() & (ASYNC_HOOKS | PLAIN_HOOKS.keys() | ENTRY_POINTS))
    if methods:
        raise TypeError(
            f"as_view() of {view_class.__name__} cannot replace the method {methods[0]}(). "
            "Override it in a subclass."
        )
    _refuse_unused(view_class, FOR_OWN_HANDLERS & initkwargs.keys())


def _hooks_and_attributes() -> frozenset[str]:
    return ASYNC_HOOKS | PLAIN_HOOKS.keys() | FOR_OWN_HANDLERS


def _is_overridden(view_class: Any, base: type, name: str) -> bool:
    return inspect.getattr_static(view_class, name) is not inspect.getattr_static(base, name)


def _refuse_mixed_kinds(view_class: Any, base: type, name: str) -> None:
    """Mixins call each other by `super()` without a hook between them, so that all have to be
    async, or none."""
    mixins = [
        vars(each)[name]
        for each in view_class.__mro__
        if name in vars(each) and not issubclass(base, each) and not issubclass(each, base)
    ]
    own = [vars(view_class)[name]] if name in vars(view_class) else []
    if mixins and len({_is_async_inside(each) for each in own + mixins}) > 1:
        raise TypeError(
            f"{view_class.__name__}.{name} is 'async def' in one class and 'def' in another that "
            "it inherits from. Use one of the two in all of them."
        )


def _refuse_async(view_class: Any, names: list[str]) -> None:
    for name in names:
        if _is_async_inside(inspect.getattr_static(view_class, name)):
            raise TypeError(
                f"{view_class.__name__}.{name} must be a plain function: write 'def', not "
                "'async def'. It runs in a worker thread, where it may use the ORM."
            )


def _refuse_sync_dispatch(view_class: Any) -> None:
    if not _is_async_inside(view_class.dispatch):
        raise TypeError(
            f"{view_class.__name__}.dispatch must be 'async def' and await super().dispatch(). "
            "For synchronous code, override initial() or finalize_response()."
        )


def _refuse_unused(view_class: Any, names: frozenset[str] | set[str]) -> None:
    if names and not any(_owner(view_class, name) for name in _handler_names(view_class)):
        raise TypeError(
            f"{view_class.__name__}.{min(names)} would never be used: the handlers of this view "
            "are the gateway's, which read and check the request body themselves. Leave it out, "
            "or give the class a handler of its own."
        )


def _owner(view_class: Any, method: str) -> Any:
    """The class of the site that defines this handler; None if it is the gateway's, or there is
    none."""
    for each in view_class.__mro__:
        if method in vars(each):
            is_ours = each.__module__.startswith(("native_api.", "rest_framework.", "django."))
            return None if is_ours else each
    return None


def _sync_handlers(view_class: Any) -> frozenset[str]:
    """The HTTP methods whose handlers run in a worker thread. Raises TypeError for one that
    overrides an async handler."""
    names = [name for name in _handler_names(view_class) if hasattr(view_class, name)]
    found = [name for name in names if not _is_async(getattr(view_class, name))]
    for name in found:
        if any(_is_async(vars(each)[name]) for each in view_class.__mro__ if name in vars(each)):
            raise TypeError(
                f"{view_class.__name__}.{name} must be 'async def', as the handler that it "
                f"overrides is: 'await super().{name}(...)'."
            )
    if "get" in found and "head" not in names:  # View.setup() lets `get` answer HEAD
        found.append("head")
    return frozenset(found)


def _handler_names(view_class: Any) -> set[str]:
    return {*View.http_method_names, *view_class.http_method_names}


def _is_async(function: Any) -> bool:
    return iscoroutinefunction(getattr(function, "fget", function))


def _is_async_inside(function: Any) -> bool:
    """Whether there is an async function below its decorators."""
    return _is_async(function) or _is_async(inspect.unwrap(function))
