"""Fixtures of `tests.usage` that the tests of prices use too."""

from tests.usage.conftest import records

__all__ = ["records"]
