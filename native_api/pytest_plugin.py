"""The fixture `native_llm` for pytest. Light: pytest imports this module wherever the package is
installed, also for projects without Django."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from native_api.testing import ScriptedProvider


@pytest.fixture
def native_llm() -> Iterator[ScriptedProvider]:
    """A scripted provider in the place of all providers of the site: nothing leaves the process."""
    from native_api.testing import scripted_provider

    with scripted_provider() as provider:
        yield provider
