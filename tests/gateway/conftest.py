"""What tests of calls from Python code share: the records that calls leave, and calls of `echo`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from tests.gateway.hooked_calls import SEEN
from tests.scripted_provider import Upstream, running_upstream


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[UsageEntry]:
    """What is handed to the recorder, in order."""
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    return handed


@pytest.fixture
def nothing_seen() -> Iterator[None]:
    """What hooks of an earlier test have seen is forgotten."""
    SEEN.clear()
    yield
    SEEN.clear()


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream
