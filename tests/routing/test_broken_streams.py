"""Streams that break after their first chunk."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import (
    NativeError,
    UpstreamError,
    UpstreamTimeout,
)
from native_api.routing import attempts
from native_api.routing.call_plan import CallPlan
from native_api.routing.health_states import TargetState
from native_api.types import Timeouts
from tests.routing.routing_site import (
    BREAKING,
    HI,
    Site,
    begins_then,
    text_of,
)
from tests.routing.target_pools import route_of
from tests.scripted_provider import (
    DONE,
    USAGE,
    cuts,
    event,
    pauses,
    stalls,
    streams,
)


async def drips(exchange: Any) -> None:
    for byte in b'data: {"choices": [{"index": 0, "delta": {"content": "slowly"}}]}\n\n':
        await exchange.piece(bytes([byte]))
        await pauses(0.1)(exchange)


async def answers_and_fails(exchange: Any) -> None:
    """In one read."""
    await exchange.piece(
        event({"content": " answer"}) + b'data: {"error": {"message": "overloaded"}}\n\n'
    )


@pytest.mark.parametrize(
    ("rest", "timeouts", "kind", "text"),
    [
        (cuts, Timeouts(), UpstreamError, "half"),
        (stalls, BREAKING, UpstreamTimeout, "half"),
        (drips, BREAKING, UpstreamTimeout, "half"),
        (answers_and_fails, Timeouts(), UpstreamError, "half answer"),
    ],
    ids=["reset", "hangs", "drips", "error-event"],
)
def test_a_broken_stream_is_reported_and_nothing_else_is_tried(
    site: Site, rest: Any, timeouts: Timeouts, kind: type[NativeError], text: str
) -> None:
    gate = site.server.gate()
    first, second = (
        site.target("first", begins_then(gate, rest), timeouts=timeouts),
        site.target("second"),
    )

    async def call() -> str:
        opened = await attempts.open_stream(
            {**HI, "stream": True},
            CallPlan(route_of(first, second)),
            site.attempts,
            site.pool,
        )
        pieces: list[str] = []
        with pytest.raises(kind) as caught:
            await text_of(opened, pieces, gate.open)
        await opened.aclose()
        assert caught.value.provider == "of-first"
        return "".join(pieces)

    assert site.run(call) == text
    assert site.request_counts == {"first": 1, "second": 0}
    assert site.pool.concurrency.in_use == {}


def test_a_reply_that_has_ended_is_whole_however_the_connection_ends(site: Site) -> None:
    gate = site.server.gate()
    whole = b"".join((event({"content": "all"}), event({}, "stop"), USAGE, DONE))  # one read
    target = site.target("first", streams(whole, gate, cuts))

    async def call() -> str:
        plan = CallPlan(route_of(target))
        opened = await attempts.open_stream({**HI, "stream": True}, plan, site.attempts, site.pool)
        try:
            return await text_of(opened, after_each=gate.open)
        finally:
            await opened.aclose()

    assert site.run(call) == "all"
    assert site.pool.health.state(target) is TargetState.HEALTHY


def test_broken_streams_open_the_circuit(site: Site) -> None:
    first = site.target("first", begins_then(cuts))
    for _ in range(5):
        with pytest.raises(UpstreamError):
            site.call(first, stream=True)
    assert site.pool.health.state(first) is TargetState.OPEN
