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

        signature = inspect.signature(check)
        fixtures = list(signature.parameters.values())[1:]
        test.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        test.__dict__.update(vars(check))  # The marks.
        test.__doc__, test.__module__ = check.__doc__, check.__module__
        test.__name__, test.__qualname__ = check.__name__, check.__qualname__
        return test

    return make_test


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
