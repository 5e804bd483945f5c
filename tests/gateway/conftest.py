"""What tests of calls from Python code share: the records that calls leave, and calls of `echo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from native_api.gateway import kept_rows
from native_api.types import Caller
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from tests.gateway import kept
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


@pytest.fixture
def keeping_site(settings: Any) -> None:
    """A site that keeps responses, and has kept none in this process."""
    kept.set_responses(settings)
    kept_rows._sums.clear()


@pytest.fixture
def alice(db: None) -> Caller:
    return kept.make_user("alice")


@pytest.fixture
def bob(db: None) -> Caller:
    return kept.make_user("bob")
