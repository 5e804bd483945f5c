"""Translation stays cheap, compared to reading and writing the same data with orjson.

A slow or busy machine changes both alike. Limits in microseconds are in `benchmarks.translation`.
"""

from __future__ import annotations

import pytest

from benchmarks.translation import chunk_cost, request_cost
from native_api.dialects import DIALECTS

SECONDS = 0.1


@pytest.mark.parametrize("name", DIALECTS)
def test_a_request_of_a_hundred_messages(name: str) -> None:
    assert request_cost(name, SECONDS).ratio < 20  # measured: 1.4 to 8


@pytest.mark.parametrize("name", DIALECTS)
def test_a_chunk_of_the_slowest_stream(name: str) -> None:
    assert chunk_cost(name, SECONDS)[0].ratio < 25  # measured: 4 to 10
