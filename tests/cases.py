"""Tests of many cases that are one test for pytest: nothing is loaded at collection, every case runs,
and each failure names its case."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Check = Callable[..., None]
Cases = Iterable[tuple[str, Any]]
"""Pairs of a name and what is checked."""


def for_each(load: Callable[[], Cases]) -> Callable[[Check], Check]:
    """Decorate a function that checks one case, its first argument. Makes a test of all cases that
    `load` returns; further arguments are fixtures and parameters, as in every test."""

    def make_test(check: Check) -> Check:
        def test(**fixtures: Any) -> None:
            check_cases(load(), lambda case: check(case, **fixtures))

        first, *_ = inspect.signature(check).parameters
        return _named_like(check, test, without=[first])

    return make_test


def each(names: str, values: Iterable[Any]) -> Callable[[Check], Check]:
    """`pytest.mark.parametrize` as one test, for checks that need no new fixtures for each value.
    Several can be stacked."""
    arguments = [name.strip() for name in names.split(",")]

    def make_test(check: Check) -> Check:
        def test(**fixtures: Any) -> None:
            check_cases(
                ((f"{names} = {value!r:.200}", value) for value in values),
                lambda value: check(
                    **dict(zip(arguments, value if len(arguments) > 1 else [value], strict=True)),
                    **fixtures,
                ),
            )

        return _named_like(check, test, without=arguments)

    return make_test


def _named_like(check: Check, test: Check, without: list[str]) -> Check:
    """Let pytest see the test as it would see the check, without these arguments."""
    signature = inspect.signature(check)
    left = [value for name, value in signature.parameters.items() if name not in without]
    test.__dict__.update(vars(check))  # The marks.
    test.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    test.__doc__, test.__module__ = check.__doc__, check.__module__
    test.__name__, test.__qualname__ = check.__name__, check.__qualname__
    return test


def check_cases(cases: Cases, check: Callable[[Any], None]) -> None:
    """Check every case. Raises a group of the failures, each with the name of its case."""
    failures: list[BaseException] = []
    number = 0
    for name, case in cases:
        number += 1
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as error:
            error.add_note(f"The case is {name}.")
            failures.append(error)
    assert number, "There is no case to check."
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {number} cases failed", failures)
