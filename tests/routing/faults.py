"""Faults that callers can and cannot cause."""

from __future__ import annotations

import pytest
from aiohttp.client_reqrep import ConnectionKey

from native_api.exceptions import ProviderFault, UpstreamError, UpstreamTimeout
from native_api.routing.pool import TargetPool
from tests.routing.target_pools import (
    A,
    admit,
    failure,
    lost,
    slow,
)

BAD_REQUEST = UpstreamError("bad", status=400, upstream_status=400)


STATUSES = [status for status in range(400, 600) if status not in (401, 402, 403, 429)]
REQUEST_STATUSES = [
    400,
    404,
    405,
    406,
    409,
    410,
    411,
    412,
    413,
    414,
    415,
    416,
    417,
    422,
    423,
    424,
    428,
    431,
    451,
]
PROVOKED = [
    failure(407),
    failure(408),
    failure(500),
    failure(503),
    failure(529),
    lost(),
    slow(),
    UpstreamError("nonsense in a 200"),
]
UNPROVOKED = [
    UpstreamError("refused", code="connection_failed"),
    UpstreamTimeout("late", code="connect_timeout"),
]
provoked = pytest.mark.parametrize(
    "fault", PROVOKED, ids=lambda fault: f"{fault.upstream_status or fault.code}"
)
unprovoked = pytest.mark.parametrize("fault", UNPROVOKED, ids=lambda fault: fault.code)


def keep_failing(pool: TargetPool, fault: ProviderFault, caller: str, calls: int = 20) -> None:
    """As often as the caller is let through."""
    for _ in range(calls):
        permit = admit(pool, A, caller)
        if permit is not None:
            permit.record_failure(fault)
            permit.release()


KEY = ConnectionKey("h", 443, True, True, None, None, None, None)
