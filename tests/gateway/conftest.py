"""What tests of calls from Python code share: the records that calls leave, and calls of `echo`."""

from __future__ import annotations

import pytest

from native_api.usage import recorder
from native_api.usage.entry import UsageEntry


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[UsageEntry]:
    """What is handed to the recorder, in order."""
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    return handed
