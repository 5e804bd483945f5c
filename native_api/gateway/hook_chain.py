"""The hooks of the setting `HOOKS`: their checks, and one instance of each for the process. `hooks`
runs them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from native_api.conf import (
    class_errors,
    import_value,
    native_settings,
    setting_check,
    setting_path,
    takes_arguments,
)
from native_api.exceptions import SettingError
from native_api.forks import reset_after_fork
from native_api.hooks import CallHooks


class Hook(NamedTuple):
    """One method of one hook."""

    name: str
    run: Callable[..., Awaitable[Any]]


class HookChain(NamedTuple):
    """The methods of all hooks, those of each kind in the order in which they run."""

    before_call: Sequence[Hook] = ()
    after_call: Sequence[Hook] = ()
    on_chunk: Sequence[Hook] = ()
    on_error: Sequence[Hook] = ()


METHODS: Final = HookChain._fields
NO_HOOKS: Final = HookChain()

_chains: Final[dict[tuple[type, ...], HookChain]] = {}
"""The chain of the classes that the setting has; empty or one."""

_lock = threading.Lock()


def _after_fork() -> None:
    """Replace the lock: one held by a thread of the parent would never be released."""
    global _lock
    _lock = threading.Lock()


reset_after_fork(_after_fork)


def current_chain() -> HookChain:
    """The chain of the setting. Raises SettingError if the setting is invalid, or if a class cannot
    be instantiated."""
    return _chain_of(tuple(native_settings.HOOKS))


def _chain_of(classes: tuple[type, ...]) -> HookChain:
    if not classes:
        return NO_HOOKS
    return _chains.get(classes) or _add_chain(classes)


def _add_chain(classes: tuple[type, ...]) -> HookChain:
    """Make the chain, once, also if several threads ask for it."""
    with _lock:
        if classes not in _chains:
            chain = _make_chain(classes)
            _chains.clear()
            _chains[classes] = chain
        return _chains[classes]


def _make_chain(classes: tuple[type, ...]) -> HookChain:
    instances = [_instantiate(each) for each in classes]
    before_call, *others = (_hooks_named(name, instances) for name in METHODS)
    return HookChain(before_call, *(hooks[::-1] for hooks in others))


def _instantiate(hook_class: type) -> Any:
    try:
        return hook_class()
    except Exception as error:
        raise SettingError(
            setting_path("HOOKS"),
            f"{_full_name(hook_class)}() raises {type(error).__name__}",
            "Each process makes one instance of the class, without arguments.",
        ) from error


def _hooks_named(name: str, instances: Sequence[Any]) -> list[Hook]:
    return [
        Hook(f"{_full_name(type(each))}.{name}", getattr(each, name))
        for each in instances
        if _has(type(each), name)
    ]


def _has(hook_class: type, name: str) -> bool:
    """Whether the class has the method, and not the one of `CallHooks` that does nothing."""
    return getattr(hook_class, name, None) not in (None, getattr(CallHooks, name))


def _full_name(hook_class: type) -> str:
    return f"{hook_class.__module__}.{hook_class.__qualname__}"


# --- the check of the setting --------------------------------------------------------------------


@setting_check("HOOKS")
def hooks_errors(name: str, value: Any) -> Iterator[SettingError]:
    errors = list(class_errors(name, value))
    classes = () if errors else tuple(map(import_value, value))
    for hook_class in classes:
        for message, hint in _problems(hook_class):
            errors.append(
                SettingError(setting_path(name), f"{_full_name(hook_class)}{message}", hint)
            )
    yield from errors or _chain_errors(classes)


def _problems(hook_class: type) -> Iterator[tuple[str, str]]:
    """What is wrong with the class, and what to do."""
    if not takes_arguments(hook_class, 0):
        yield "() needs arguments", "Each process makes one instance of the class, without any."
    names = [name for name in METHODS if _has(hook_class, name)]
    if not names:
        yield " has none of the methods of hooks", f"Methods: {', '.join(METHODS)}."
    for name in names:
        if not inspect.iscoroutinefunction(inspect.unwrap(getattr(hook_class, name))):
            yield f".{name} is not asynchronous", f"Write 'async def {name}'."


def _chain_errors(classes: tuple[type, ...]) -> Iterator[SettingError]:
    """What only instances show. They are those of the process: the chain that is made here is the
    one that calls use."""
    try:
        chain = _chain_of(classes)
    except SettingError as error:
        yield error
        return
    for name, hooks in chain._asdict().items():
        parameters = list(inspect.signature(getattr(CallHooks, name)).parameters)
        for hook in hooks:
            if not takes_arguments(hook.run, len(parameters) - 1):
                message = f"{hook.name} does not take the arguments it gets"
                hint = f"Write 'async def {name}({', '.join(parameters)})'."
                yield SettingError(setting_path("HOOKS"), message, hint)
