"""Which target is tried when: retries, the next target, fallbacks, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import (
    UpstreamTimeout,
)
from native_api.routing.route import AttemptLimits
from native_api.types import Quirks, Timeouts
from tests.routing.routing_site import (
    ERROR,
    ERROR_FIRST,
    HTML,
    QUICK,
    TOO_LONG,
    Site,
    both,
)
from tests.routing.target_pools import route_of
from tests.scripted_provider import (
    Script,
    cuts,
    hello,
    says,
    stalls,
)


@both
@pytest.mark.parametrize(
    "script",
    [*(says(ERROR, status) for status in (408, 409, 429, 500, 503, 529)), HTML, cuts],
    ids=["408", "409", "429", "500", "503", "529", "html", "reset"],
)
def test_a_temporary_fault_is_retried_after_a_pause(
    site: Site, script: Script, stream: bool
) -> None:
    assert (
        site.call(site.target("first", script, hello), site.target("second"), stream=stream)
        == "Hello there"
    )
    assert site.request_counts == {"first": 2, "second": 0}
    assert site.attempts.count == 2
    assert [0.1 <= pause <= 0.2 for pause in site.clock.slept] == [True]


def test_pauses_double(site: Site) -> None:
    site.call_error(site.target("first", says(ERROR, 500), retries_override=3))
    assert [
        0.5 <= pause / (0.2 * 2**position) <= 1 for position, pause in enumerate(site.clock.slept)
    ] == [True] * 3


@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"retry-after": "0"}, [0.0]),
        ({"retry-after": "0.75"}, [0.75]),
        ({"retry-after-ms": "500", "retry-after": "9"}, [0.5]),
    ],
)
def test_a_providers_retry_after_is_obeyed(
    site: Site, headers: dict[str, str], slept: list[float]
) -> None:
    assert site.call(site.target("first", says(ERROR, 429, headers), hello)) == "Hello there"
    assert site.clock.slept == slept


def test_a_long_retry_after_is_waited_for_only_without_another_target(site: Site) -> None:
    busy = says(ERROR, 429, {"retry-after": "4"})
    assert site.call(site.target("first", busy, hello), site.target("second")) == "Hello there"
    assert (site.request_counts, site.clock.slept) == ({"first": 1, "second": 1}, [])
    alone = site.target("alone", busy, hello)
    assert site.call(alone) == "Hello there"
    assert site.clock.slept == [4.0]


def test_an_absurd_retry_after_is_not_waited_for_and_is_capped_for_the_client(site: Site) -> None:
    error = site.call_error(site.target("first", says(ERROR, 429, {"retry-after": "8640000"})))
    assert (error.status, error.headers["retry-after"], error.headers["x-should-retry"]) == (
        429,
        "300",
        "false",
    )
    assert site.clock.slept == []


def test_a_retry_after_may_be_a_date(site: Site) -> None:
    error = site.call_error(
        site.target("first", says(ERROR, 503, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}))
    )
    assert error.headers["retry-after"] == "300"


def test_x_should_retry_decides(site: Site) -> None:
    no, yes = (
        says(ERROR, 500, {"x-should-retry": "false"}),
        says(ERROR, 418, {"x-should-retry": "true"}),
    )
    assert site.call(site.target("no", no, hello), site.target("second")) == "Hello there"
    assert site.request_counts == {"no": 1, "second": 1}
    assert site.call(site.target("yes", yes, hello)) == "Hello there"
    assert site.call_error(site.target("always", no)).headers["x-should-retry"] == "false"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_permanent_failure_is_never_retried_whatever_the_provider_says(
    site: Site, status: int
) -> None:
    script = says(ERROR, status, {"x-should-retry": "true"})
    assert site.call(site.target("first", script), site.target("second")) == "Hello there"
    assert site.request_counts == {"first": 1, "second": 1}
    assert site.call_error(site.target("alone", script)).headers["x-should-retry"] == "false"


@both
@pytest.mark.parametrize(
    "script",
    [
        says(b"<html>", 200, {"content-type": "text/html"}),
        says(b"{"),
        says({"error": {"message": "no memory"}}),
        says(b"", 302),
    ],
    ids=["page", "half", "inside-200", "redirect"],
)
def test_an_invalid_reply_is_not_retried(site: Site, script: Script, stream: bool) -> None:
    assert (
        site.call(site.target("first", script), site.target("second"), stream=stream)
        == "Hello there"
    )
    assert site.request_counts == {"first": 1, "second": 1}


def test_an_error_event_before_the_first_chunk_is_a_failure(site: Site) -> None:
    assert (
        site.call(site.target("first", ERROR_FIRST), site.target("second"), stream=True)
        == "Hello there"
    )
    assert site.request_counts == {"first": 1, "second": 1}


@both
def test_a_target_that_does_not_answer_times_out(site: Site, stream: bool) -> None:
    assert (
        site.call(
            site.target("first", stalls, timeouts=QUICK), site.target("second"), stream=stream
        )
        == "Hello there"
    )
    assert site.attempts.count == 2


@both
def test_a_refused_connection_does_not_count_as_a_request(site: Site, stream: bool) -> None:
    assert site.call(site.dead("dead"), site.target("second"), stream=stream) == "Hello there"
    assert (site.attempts.count, site.attempts.target and site.attempts.target.model) == (
        1,
        "second",
    )
    assert site.request_counts == {"dead": 0, "second": 1}
    assert len(site.clock.slept) == 1


def test_each_target_gets_its_own_request(site: Site) -> None:
    site.call(
        site.target("first", says(ERROR, 404)),
        site.target("second", quirks=Quirks(roles={"user": "human"})),
    )
    [first], [second] = site.server.requests_for("first"), site.server.requests_for("second")
    assert (first.body["model"], first.body["messages"][0]["role"]) == ("first", "user")
    assert (second.body["model"], second.body["messages"][0]["role"]) == ("second", "human")


def test_a_targets_timeout_overrides_its_providers(site: Site) -> None:
    patient = site.target("first", stalls, timeouts=Timeouts(total=60), timeouts_override=QUICK)
    assert isinstance(site.call_error(patient), UpstreamTimeout)


@both
def test_an_error_of_the_request_ends_the_call(site: Site, stream: bool) -> None:
    error = site.call_error(
        site.target("first", says({"error": {"message": "bad tool"}}, 400)),
        site.target("second"),
        stream=stream,
    )
    assert (error.status, error.code, error.provider) == (400, "invalid_request", "of-first")
    assert site.request_counts == {"first": 1, "second": 0}


def test_the_last_providers_error_is_what_the_caller_sees(site: Site) -> None:
    error = site.call_error(
        site.target("first", says(ERROR, 503)),
        site.target("second", says({"error": {"message": "the last word"}}, 500)),
    )
    assert (error.status, error.provider) == (502, "of-second")
    assert "the last word" in error.message


def test_fallbacks_come_after_all_targets_in_order(site: Site) -> None:
    bad = says(ERROR, 404)
    later = [
        route_of(site.target("third", bad), name="b"),
        route_of(site.target("fourth"), name="c"),
    ]
    assert (
        site.call(site.target("first", bad), site.target("second", bad), fallbacks=lambda: later)
        == "Hello there"
    )
    assert site.request_counts == {"first": 1, "second": 1, "third": 1, "fourth": 1}
    assert site.attempts.route == "c"
    assert (
        site.call(site.target("fine"), fallbacks=lambda: pytest.fail("asked for fallbacks"))
        == "Hello there"
    )


def test_a_target_of_two_routes_is_tried_once(site: Site) -> None:
    first = site.target("first", says(ERROR, 404))
    site.call_error(first, fallbacks=lambda: [route_of(first)])
    assert site.request_counts == {"first": 1}


def test_a_conversation_that_is_too_long_goes_to_the_context_fallbacks(site: Site) -> None:
    context_fallbacks = lambda: [route_of(site.target("wide"), name="wide")]  # noqa: E731
    fallbacks = lambda: pytest.fail("went to the ordinary fallbacks")  # noqa: E731
    first, second = site.target("first", TOO_LONG), site.target("second")
    assert (
        site.call(first, second, fallbacks=fallbacks, context_fallbacks=context_fallbacks)
        == "Hello there"
    )
    assert site.request_counts == {"first": 1, "second": 0, "wide": 1}


def test_a_conversation_that_is_too_long_fails_without_context_fallbacks(site: Site) -> None:
    error = site.call_error(
        site.target("first", TOO_LONG),
        site.target("second"),
        fallbacks=lambda: [route_of(site.target("third"))],
    )
    assert (error.status, error.code) == (400, "context_length_exceeded")
    assert site.request_counts["second"] == 0


def test_attempts_are_bounded_over_all_targets(site: Site) -> None:
    targets = [site.target(f"t{number}", says(ERROR, 500)) for number in range(8)]
    site.call_error(*targets, attempt_limits=AttemptLimits(max_attempts=5))
    assert sum(site.request_counts.values()) == site.attempts.count == 5


def test_no_attempt_begins_after_the_time_limit(site: Site) -> None:
    async def takes_a_minute(exchange: Any) -> None:
        site.clock.now += 60
        await exchange.json(ERROR, 500)

    targets = [site.target(f"t{number}", takes_a_minute) for number in range(4)]
    site.call_error(*targets, attempt_limits=AttemptLimits(max_attempts=99, start_within=120))
    assert site.attempts.count == 2
