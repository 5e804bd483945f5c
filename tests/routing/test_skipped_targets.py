"""Targets that are not called: unhealthy ones, and those over the caller's limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from native_api.exceptions import (
    BudgetExceeded,
    DatabaseUnavailable,
    NoTargetAvailable,
    RateLimited,
    UnsupportedField,
)
from native_api.routing.route import Route
from native_api.types import Quirks, RemoteFiles
from native_api.upstream.prepared_request import PreparedRequest
from tests.routing.routing_site import (
    ERROR,
    Site,
    both,
    set_incident,
)
from tests.routing.target_pools import route_of
from tests.scripted_provider import (
    hello,
    says,
)


def test_if_all_circuits_are_open_the_error_says_when_to_retry(site: Site) -> None:
    first, second = site.target("first"), site.target("second")
    set_incident(site, first, seconds=200)
    set_incident(site, second, seconds=29.5)
    error = site.call_error(first, second)
    assert (error.status, error.code, error.headers) == (
        503,
        "no_target_available",
        {"retry-after": "30"},
    )
    set_incident(site, second, seconds=250)
    assert site.call_error(first, second).headers == {
        "retry-after": "200",
        "x-should-retry": "false",
    }
    assert site.request_counts == {"first": 0, "second": 0}


def test_a_dead_target_costs_nothing_once_its_circuit_is_open(site: Site) -> None:
    dead, second = site.dead("dead"), site.target("second")
    for _ in range(4):
        site.call(dead, second)
    paused = len(site.clock.slept)
    assert site.call(dead, second) == "Hello there"
    assert len(site.clock.slept) == paused


def test_a_rate_limited_target_is_tried_after_the_fallbacks(site: Site) -> None:
    first, other = site.target("first"), site.target("other", hello, says(ERROR, 404))
    set_incident(site, first, "rate_limited")
    assert site.call(first, fallbacks=lambda: [route_of(other)]) == "Hello there"
    assert site.request_counts == {"first": 0, "other": 1}
    assert site.call(first, fallbacks=lambda: [route_of(other)]) == "Hello there"
    assert site.request_counts == {"first": 1, "other": 2}


def test_a_single_rate_limited_target_returns_its_providers_429(site: Site) -> None:
    first = site.target(
        "first", says({"error": {"message": "slow down"}}, 429, {"retry-after": "20"})
    )
    for _ in range(2):
        error = site.call_error(first)
        assert (error.status, error.headers["retry-after"]) == (429, "20")
    assert site.attempts.count == 1


def test_a_target_that_cannot_express_the_request_is_skipped_with_a_reason(site: Site) -> None:
    toolless = site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"})))
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert site.call(toolless, site.target("second"), chat=chat) == "Hello there"
    assert [(str(skipped), reason.param) for skipped, reason in site.attempts.skipped] == [
        ("of-toolless/toolless", "tools")
    ]  # type: ignore[attr-defined]
    assert site.attempts.count == 1
    assert isinstance(site.call_error(toolless, chat=chat), UnsupportedField)
    assert site.request_counts["toolless"] == 0


def test_an_open_target_that_can_express_the_request_is_worth_waiting_for(site: Site) -> None:
    toolless, second = (
        site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"}))),
        site.target("second"),
    )
    set_incident(site, second)
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert isinstance(site.call_error(toolless, second, chat=chat), NoTargetAvailable)


class Limits:
    """The caller's limits: what was covered, and which models there is no room for."""

    def __init__(self, *refused: str, error: Exception | None = None) -> None:
        self.covered: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.refused = refused
        self.error = error or RateLimited("no room")

    async def reserve(self, route: Route, prepared: PreparedRequest) -> None:
        self.covered.append((route.name, prepared.target.model))
        self.bodies.append(prepared.body)
        prepared.tokens = 1000 + len(self.covered)
        if prepared.target.model in self.refused:
            raise self.error


@both
def test_limits_are_reserved_once_per_target_with_the_body_that_is_sent(
    site: Site, stream: bool
) -> None:
    limits = Limits()
    first = site.target("first", says(ERROR, 500), says(ERROR, 404))
    site.call(
        first,
        fallbacks=lambda: [route_of(site.target("other"), name="f")],
        reserve=limits.reserve,
        stream=stream,
    )
    assert site.request_counts == {"first": 2, "other": 1}
    assert limits.covered == [("r", "first"), ("f", "other")]
    assert limits.bodies == [
        site.server.requests_for("first")[0].body,
        site.server.requests_for("other")[0].body,
    ]
    assert site.attempts.sent_tokens == 1002


@both
@pytest.mark.parametrize(
    "error", [RateLimited("no room"), BudgetExceeded("too dear"), DatabaseUnavailable("gone")]
)
def test_a_target_over_the_callers_limits_is_skipped(
    site: Site, stream: bool, error: Exception
) -> None:
    limits = Limits("first", error=error)
    first, second = site.target("first", max_concurrency_override=1), site.target("second")
    assert site.call(first, second, reserve=limits.reserve, stream=stream) == "Hello there"
    assert site.request_counts == {"first": 0, "second": 1}
    assert site.call_error(first, reserve=limits.reserve, stream=stream) is error


def test_a_providers_error_is_returned_before_a_limit_error(site: Site) -> None:
    error = site.call_error(
        site.target("first", says(ERROR, 404)),
        site.target("second"),
        reserve=Limits("second").reserve,
    )
    assert error.provider == "of-first"


def test_nothing_is_reserved_for_a_target_that_cannot_be_called(
    site: Site,
) -> None:
    limits, toolless = (
        Limits(),
        site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"}))),
    )
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert isinstance(
        site.call_error(toolless, chat=chat, reserve=limits.reserve), UnsupportedField
    )
    first = site.target("first")
    set_incident(site, first)
    assert isinstance(site.call_error(first, reserve=limits.reserve), NoTargetAvailable)
    assert limits.covered == []


def test_no_slot_is_taken_at_a_target_over_the_callers_limits(site: Site) -> None:
    first = site.target("first", max_concurrency_override=1)

    async def reserve(route: Route, prepared: PreparedRequest) -> None:
        assert site.pool.concurrency.in_use == {}
        raise RateLimited("no room")

    site.call_error(first, reserve=reserve)


def test_files_are_fetched_only_if_the_callers_limits_suffice(site: Site) -> None:
    image = {"type": "image_url", "image_url": {"url": f"{site.server.url}/a.png"}}
    chat = {"messages": [{"role": "user", "content": [image]}]}
    first = site.target("first")
    first = replace(
        first,
        provider=replace(
            first.provider, remote_files=RemoteFiles(private_networks=("127.0.0.0/8",))
        ),
    )
    before = len(site.server.requests)
    assert isinstance(
        site.call_error(first, chat=chat, reserve=Limits("first").reserve), RateLimited
    )
    assert len(site.server.requests) == before
    assert isinstance(
        site.call_error(first, chat=chat, reserve=Limits().reserve), UnsupportedField
    )  # what is there is no image
    assert len(site.server.requests) == before + 1
