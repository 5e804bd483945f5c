"""`scripted_provider`: the block of code, the test or the test case in which a provider is
scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Final
from unittest import TestResult

from asgiref.sync import sync_to_async

from native_api import background
from native_api.background import test_environment
from native_api.testing.replacements import replacements
from native_api.testing.scripted_provider import ScriptedProvider

_blocks: Final[list[scripted_provider]] = []
"""The blocks that have begun, the innermost one last."""


class scripted_provider:
    """Put a `ScriptedProvider` in the place of all providers of the site.

        with scripted_provider() as llm: ...          # "async with" in async code

        @scripted_provider()
        def test_summary(self, llm): ...              # also "async def"

    Blocks may be nested: the innermost one answers.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._is_left = False

    def __enter__(self) -> ScriptedProvider:
        if _is_on_event_loop():
            raise RuntimeError("Write 'async with scripted_provider()' in async code.")
        return self._start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop(error)

    async def __aenter__(self) -> ScriptedProvider:
        # In the thread whose database connections the test's own queries use.
        return await sync_to_async(self._start)()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await background.close_streams()
        await sync_to_async(self._stop)(error)

    def __call__(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a test. It gets the ScriptedProvider as its last positional argument. Raises
        TypeError for a class."""
        if isinstance(test, type):
            raise TypeError(
                f"scripted_provider() decorates functions. Write 'class {test.__name__}"
                "(ScriptedProviderMixin, …)' for a test case."
            )
        if iscoroutinefunction(test):

            async def run_async(*args: Any, **kwargs: Any) -> Any:
                async with scripted_provider() as llm:
                    return await test(*args, llm, **kwargs)

            return _named_like(test, run_async)

        def run(*args: Any, **kwargs: Any) -> Any:
            with scripted_provider() as llm:
                return test(*args, llm, **kwargs)

        return _named_like(test, run)

    def _start(self) -> ScriptedProvider:
        provider = ScriptedProvider()
        with ExitStack() as stack:
            stack.callback(test_environment.forget)
            for replacement in replacements(provider):
                stack.enter_context(replacement)
            test_environment.forget()
            stack.callback(_end_streams, provider)
            self._stack = stack.pop_all()
        self._provider = provider
        _blocks.append(self)
        return provider

    def _stop(self, error: BaseException | None) -> None:
        """Undo the replacements. Those of a block in which another one still runs are undone
        with the inner one's: nothing may leave the process before."""
        self._is_left = True
        if _blocks[-1] is not self:
            raise RuntimeError("A block of scripted_provider() ended before one that began in it.")
        while _blocks and _blocks[-1]._is_left:
            _blocks.pop()._stack.close()
        if error is None and self._provider.problems:
            raise self._provider.problems[0]


def _is_on_event_loop() -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


def _named_like(test: Callable[..., Any], run: Callable[..., Any]) -> Callable[..., Any]:
    """Without the signature of `test`: the test runner does not pass the last argument."""
    named = wraps(test)(run)
    del named.__wrapped__
    return named


def _end_streams(provider: ScriptedProvider) -> None:
    """Streams that the test did not read to their end are recorded in this test."""
    if any(call.attempts[-1].body.get("stream") for call in provider.calls):
        background.run(background.close_streams())


class ScriptedProviderMixin:
    """For test cases of unittest and Django, before their class: each test has a ScriptedProvider,
    `self.native_llm`.

    It is there in `setUp`, and another one, of the class, in `setUpClass` and `setUpTestData`.
    """

    native_llm: ScriptedProvider

    @classmethod
    def setUpClass(cls: Any) -> None:
        cls.native_llm = cls.enterClassContext(scripted_provider())
        super().setUpClass()  # type: ignore[misc]

    def run(self: Any, result: TestResult | None = None) -> TestResult | None:
        self.native_llm = self.enterContext(scripted_provider())
        try:
            return super().run(result)  # type: ignore[misc, no-any-return]
        finally:
            self.doCleanups()  # done already, unless the test is skipped
