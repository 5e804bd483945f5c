"""A site with two providers, whose keys are not set, as on a machine that runs tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from native_api.background import test_environment
from native_api.pytest_plugin import native_llm  # noqa: F401  a fixture: it is not installed here

NATIVE_API: dict[str, Any] = {
    "PROVIDERS": {
        "openai": {"API_KEY": "", "HEADERS": {"x-team": "blue"}},
        "eu": {"PRESET": "anthropic"},
    },
    "MODELS": {
        "fast": {
            "TARGETS": [
                {"PROVIDER": "openai", "MODEL": "gpt-4o-mini"},
                {"PROVIDER": "eu", "MODEL": "claude-haiku-4-5", "PRIORITY": 1},
            ]
        },
        "embedder": {"TARGETS": [{"PROVIDER": "openai", "MODEL": "text-embedding-3-small"}]},
    },
}


@pytest.fixture(scope="module", autouse=True)
def the_test_environment_of_django() -> Iterator[None]:
    """These tests are of the gateway in the tests of a site."""
    test_environment.ignore(False)
    yield
    test_environment.ignore()


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.NATIVE_API = NATIVE_API
