"""Attempts, at scripted providers over real HTTP. Pauses are noted, not slept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from native_api.exceptions import (
    BudgetExceeded,
    DatabaseUnavailable,
    NativeError,
    NoTargetAvailable,
    RateLimited,
    UnsupportedField,
    UpstreamError,
    UpstreamTimeout,
)
from native_api.routing import attempts
from native_api.routing.call_plan import CallPlan, reserve_nothing
from native_api.routing.health_states import Incident, TargetState
from native_api.routing.pool import TargetPool
from native_api.routing.route import AttemptLimits, Route
from native_api.routing.routed_stream import RoutedStream
from native_api.types import ChatRequest, Provider, Quirks, RemoteFiles, Target, Timeouts
from native_api.upstream import transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.prepared_request import PreparedRequest
from tests.routing.target_pools import Clock, pool_with, route_of
from tests.scripted_provider import (
    HELLO,
    Script,
    Upstream,
    completion,
    cuts,
    event,
    hello,
    running_upstream,
    says,
    stalls,
    streams,
)
from tests.servers import until

HI: ChatRequest = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
QUICK = Timeouts(connect=1, first_token=0.2, between_tokens=0.2, total=0.4)
BREAKING = Timeouts(between_tokens=0.5)


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


class Site:
    """One process's client, with targets at the scripted provider by model name."""

    def __init__(self, server: Upstream) -> None:
        self.server = server
        self.clock = Clock()
        self.pool: TargetPool = pool_with(self.clock)
        self.attempts = AttemptLog()
        self.models: list[str] = []

    def target(self, model: str, *scripts: Script, **more: Any) -> Target:
        """A target that follows the scripts, one a request, the last one again and again."""
        left = list(scripts or (hello,))

        async def script(exchange: Any) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(exchange)

        self.server.script(model, script)
        self.server.requests[:] = [
            received for received in self.server.requests if received.model != model
        ]
        self.models.append(model)
        quirks = more.pop("quirks", Quirks())
        timeouts = more.pop("timeouts", Timeouts())
        url = more.pop("url", self.server.url)
        provider = Provider(
            f"of-{model}", "openai", url, timeouts=timeouts, quirks=quirks, identity=f"of-{model}@1"
        )
        return Target(provider, model, **more)

    def dead(self, model: str) -> Target:
        return self.target(model, url="http://127.0.0.1:9/v1")

    @property
    def asked(self) -> dict[str, int]:
        """How often each provider saw a request."""
        return {model: len(self.server.seen(model)) for model in self.models}

    def call(self, *targets: Target, stream: bool = False, chat: Any = None, **plan: Any) -> str:
        return asyncio.run(self._closing(self.acall(*targets, stream=stream, chat=chat, **plan)))

    async def acall(
        self, *targets: Target, stream: bool = False, chat: Any = None, **plan: Any
    ) -> str:
        """The text that was answered."""
        self.attempts = AttemptLog()
        sent = {**HI, **(chat or {}), **({"stream": True} if stream else {})}
        reserve = plan.pop("reserve", reserve_nothing)
        plan = CallPlan(route_of(*targets, **plan.pop("route", {})), **plan)
        if not stream:
            reply = await attempts.complete(sent, plan, self.attempts, self.pool, reserve)
            return str(reply.completion["choices"][0]["message"]["content"])
        opened = await attempts.open_stream(sent, plan, self.attempts, self.pool, reserve)
        try:
            return await text_of(opened)
        finally:
            await opened.aclose()

    async def _closing(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        finally:
            await transport.aclose()

    def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(self._closing(work()))

    def fails(self, *targets: Target, **more: Any) -> Any:
        with pytest.raises(NativeError) as caught:
            self.call(*targets, **more)
        assert self.pool.concurrency.in_use == {}
        return caught.value


async def text_of(
    stream: RoutedStream,
    said: list[str] | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> str:
    """The whole text; piece by piece in `said`, where the stream may break."""
    pieces = [] if said is None else said
    async for batch in stream:
        pieces += [chunk["choices"][0]["delta"].get("content") or "" for chunk in batch]
        after_each()
    return "".join(pieces)


@pytest.fixture
def site(server: Upstream) -> Site:
    return Site(server)


both = pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
ERROR = {"error": {"message": "out of sorts"}}
HTML = says(b"<html>oops</html>", 500, {"content-type": "text/html"})
TOO_LONG = says({"error": {"message": "too long", "code": "context_length_exceeded"}}, 400)
ERROR_FIRST = streams(
    event({"role": "assistant", "content": ""}), b'data: {"error": {"message": "overloaded"}}\n\n'
)

# --- the same target again -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "script",
    [says(ERROR, 408), says(ERROR, 409), says(ERROR, 429), says(ERROR, 500), says(ERROR, 503), says(ERROR, 529), HTML, cuts],
    ids=["408", "409", "429", "500", "503", "529", "html", "reset"],
)  # fmt: skip
def test_what_may_pass_is_asked_again_after_a_pause(
    site: Site, script: Script, stream: bool
) -> None:
    assert (
        site.call(site.target("first", script, hello), site.target("second"), stream=stream)
        == "Hello there"
    )
    assert site.asked == {"first": 2, "second": 0}
    assert site.attempts.count == 2
    assert [0.1 <= pause <= 0.2 for pause in site.clock.slept] == [True]


def test_pauses_double(site: Site) -> None:
    site.fails(site.target("first", says(ERROR, 500), retries_override=3))
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


def test_a_long_one_is_waited_for_only_where_there_is_no_other_target(site: Site) -> None:
    busy = says(ERROR, 429, {"retry-after": "4"})
    assert site.call(site.target("first", busy, hello), site.target("second")) == "Hello there"
    assert (site.asked, site.clock.slept) == ({"first": 1, "second": 1}, [])
    alone = site.target("alone", busy, hello)
    assert site.call(alone) == "Hello there"
    assert site.clock.slept == [4.0]


def test_an_absurd_one_is_not_waited_for_and_is_cut_before_it_is_told(site: Site) -> None:
    error = site.fails(site.target("first", says(ERROR, 429, {"retry-after": "8640000"})))
    assert (error.status, error.headers["retry-after"], error.headers["x-should-retry"]) == (
        429,
        "300",
        "false",
    )
    assert site.clock.slept == []


def test_a_retry_after_may_be_a_date(site: Site) -> None:
    error = site.fails(
        site.target("first", says(ERROR, 503, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}))
    )
    assert error.headers["retry-after"] == "300"


def test_x_should_retry_decides(site: Site) -> None:
    no, yes = (
        says(ERROR, 500, {"x-should-retry": "false"}),
        says(ERROR, 418, {"x-should-retry": "true"}),
    )
    assert site.call(site.target("no", no, hello), site.target("second")) == "Hello there"
    assert site.asked == {"no": 1, "second": 1}
    assert site.call(site.target("yes", yes, hello)) == "Hello there"
    assert site.fails(site.target("always", no)).headers["x-should-retry"] == "false"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_fails_for_good_is_asked_once_whatever_the_provider_says(
    site: Site, status: int
) -> None:
    script = says(ERROR, status, {"x-should-retry": "true"})
    assert site.call(site.target("first", script), site.target("second")) == "Hello there"
    assert site.asked == {"first": 1, "second": 1}
    assert site.fails(site.target("alone", script)).headers["x-should-retry"] == "false"


# --- the next target -------------------------------------------------------------------------------------------------


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
def test_nonsense_is_not_asked_for_twice(site: Site, script: Script, stream: bool) -> None:
    assert (
        site.call(site.target("first", script), site.target("second"), stream=stream)
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 1}


def test_an_error_event_before_the_first_chunk_is_a_failure(site: Site) -> None:
    assert (
        site.call(site.target("first", ERROR_FIRST), site.target("second"), stream=True)
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 1}


@both
def test_what_hangs_before_its_head_is_left_after_its_time(site: Site, stream: bool) -> None:
    assert (
        site.call(
            site.target("first", stalls, timeouts=QUICK), site.target("second"), stream=stream
        )
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 1}


@both
def test_a_refused_connection_is_no_request(site: Site, stream: bool) -> None:
    assert site.call(site.dead("dead"), site.target("second"), stream=stream) == "Hello there"
    assert (site.attempts.count, site.attempts.target and site.attempts.target.model) == (
        1,
        "second",
    )
    assert site.asked == {"dead": 0, "second": 1}
    assert len(site.clock.slept) == 1


def test_each_target_gets_its_own_request(site: Site) -> None:
    site.call(
        site.target("first", says(ERROR, 404)),
        site.target("second", quirks=Quirks(roles={"user": "human"})),
    )
    [first], [second] = site.server.seen("first"), site.server.seen("second")
    assert (first.body["model"], first.body["messages"][0]["role"]) == ("first", "user")
    assert (second.body["model"], second.body["messages"][0]["role"]) == ("second", "human")


def test_a_timeout_of_the_target_wins_over_its_providers(site: Site) -> None:
    patient = site.target("first", stalls, timeouts=Timeouts(total=60), timeouts_override=QUICK)
    assert isinstance(site.fails(patient), UpstreamTimeout)


@both
def test_what_the_client_must_mend_is_the_answer(site: Site, stream: bool) -> None:
    error = site.fails(
        site.target("first", says({"error": {"message": "bad tool"}}, 400)),
        site.target("second"),
        stream=stream,
    )
    assert (error.status, error.code, error.provider) == (400, "invalid_request", "of-first")
    assert site.asked == {"first": 1, "second": 0}


def test_the_last_providers_error_is_what_the_caller_sees(site: Site) -> None:
    error = site.fails(
        site.target("first", says(ERROR, 503)),
        site.target("second", says({"error": {"message": "the last word"}}, 500)),
    )
    assert (error.status, error.provider) == (502, "of-second")
    assert "the last word" in error.message


# --- once a chunk was handed on --------------------------------------------------------------------------------------


def begins_then(*rest: bytes | Script) -> Script:
    return streams(event({"role": "assistant", "content": "half"}), *rest)


async def drips(exchange: Any) -> None:
    for byte in b'data: {"choices": [{"index": 0, "delta": {"content": "slowly"}}]}\n\n':
        await exchange.piece(bytes([byte]))
        await asyncio.sleep(0.1)


async def answers_and_fails(exchange: Any) -> None:
    """In one read."""
    await exchange.piece(
        event({"content": " answer"}) + b'data: {"error": {"message": "overloaded"}}\n\n'
    )


@pytest.mark.parametrize(
    ("rest", "kind", "text"),
    [
        (cuts, UpstreamError, "half"),
        (stalls, UpstreamTimeout, "half"),
        (drips, UpstreamTimeout, "half"),
        (answers_and_fails, UpstreamError, "half answer"),
    ],
    ids=["reset", "hangs", "drips", "error-event"],
)
def test_a_broken_answer_is_reported_and_nothing_else_is_tried(
    site: Site, rest: Any, kind: type[NativeError], text: str
) -> None:
    gate = site.server.gate()
    first, second = (
        site.target("first", begins_then(gate, rest), timeouts=BREAKING),
        site.target("second"),
    )

    async def call() -> str:
        opened = await attempts.open_stream(
            {**HI, "stream": True},
            CallPlan(route_of(first, second)),
            site.attempts,
            site.pool,
        )
        said: list[str] = []
        with pytest.raises(kind) as caught:
            await text_of(opened, said, gate.open)
        await opened.aclose()
        assert caught.value.provider == "of-first"
        return "".join(said)

    assert site.run(call) == text
    assert site.asked == {"first": 1, "second": 0}
    assert site.pool.concurrency.in_use == {}


def test_a_target_whose_answers_break_is_put_out_of_order(site: Site) -> None:
    first = site.target("first", begins_then(cuts))
    for _ in range(5):
        with pytest.raises(UpstreamError):
            site.call(first, stream=True)
    assert site.pool.health.state(first) is TargetState.OPEN


# --- fallbacks -------------------------------------------------------------------------------------------------------


def test_fallbacks_come_after_all_targets_in_order_and_only_then(site: Site) -> None:
    bad = says(ERROR, 404)
    later = [
        route_of(site.target("third", bad), name="b"),
        route_of(site.target("fourth"), name="c"),
    ]
    assert (
        site.call(site.target("first", bad), site.target("second", bad), fallbacks=lambda: later)
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 1, "third": 1, "fourth": 1}
    assert site.attempts.route == "c"
    assert (
        site.call(site.target("fine"), fallbacks=lambda: pytest.fail("asked for fallbacks"))
        == "Hello there"
    )


def test_a_target_that_two_routes_share_has_one_turn(site: Site) -> None:
    first = site.target("first", says(ERROR, 404))
    site.fails(first, fallbacks=lambda: [route_of(first)])
    assert site.asked == {"first": 1}


def test_what_is_too_long_goes_where_there_is_more_room(site: Site) -> None:
    context_fallbacks = lambda: [route_of(site.target("wide"), name="wide")]  # noqa: E731
    fallbacks = lambda: pytest.fail("went to the ordinary fallbacks")  # noqa: E731
    first, second = site.target("first", TOO_LONG), site.target("second")
    assert (
        site.call(first, second, fallbacks=fallbacks, context_fallbacks=context_fallbacks)
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 0, "wide": 1}


def test_and_is_the_answer_where_there_is_not(site: Site) -> None:
    error = site.fails(
        site.target("first", TOO_LONG),
        site.target("second"),
        fallbacks=lambda: [route_of(site.target("third"))],
    )
    assert (error.status, error.code) == (400, "context_length_exceeded")
    assert site.asked["second"] == 0


# --- budget ----------------------------------------------------------------------------------------------------------


def test_attempts_are_bounded_over_all_targets(site: Site) -> None:
    targets = [site.target(f"t{number}", says(ERROR, 500)) for number in range(8)]
    site.fails(*targets, attempt_limits=AttemptLimits(max_attempts=5))
    assert sum(site.asked.values()) == site.attempts.count == 5


def test_no_attempt_begins_after_the_time_is_over(site: Site) -> None:
    async def takes_a_minute(exchange: Any) -> None:
        site.clock.now += 60
        await exchange.json(ERROR, 500)

    targets = [site.target(f"t{number}", takes_a_minute) for number in range(4)]
    site.fails(*targets, attempt_limits=AttemptLimits(max_attempts=99, start_within=120))
    assert site.attempts.count == 2


# --- nobody to ask ---------------------------------------------------------------------------------------------------


def out(site: Site, target: Target, kind: Any = "circuit_open", seconds: float = 30.0) -> None:
    site.pool.health.apply({target.key: Incident(kind, site.clock.now + seconds)})


def test_where_all_are_out_of_order_it_is_said_when_to_come_back(site: Site) -> None:
    first, second = site.target("first"), site.target("second")
    out(site, first, seconds=200)
    out(site, second, seconds=29.5)
    error = site.fails(first, second)
    assert (error.status, error.code, error.headers) == (
        503,
        "no_target_available",
        {"retry-after": "30"},
    )
    out(site, second, seconds=250)
    assert site.fails(first, second).headers == {"retry-after": "200", "x-should-retry": "false"}
    assert site.asked == {"first": 0, "second": 0}


def test_a_dead_target_costs_nothing_once_its_circuit_is_open(site: Site) -> None:
    dead, second = site.dead("dead"), site.target("second")
    for _ in range(4):
        site.call(dead, second)
    paused = len(site.clock.slept)
    assert site.call(dead, second) == "Hello there"
    assert len(site.clock.slept) == paused


def test_a_limited_target_is_asked_after_the_fallbacks(site: Site) -> None:
    first, other = site.target("first"), site.target("other", hello, says(ERROR, 404))
    out(site, first, "rate_limited")
    assert site.call(first, fallbacks=lambda: [route_of(other)]) == "Hello there"
    assert site.asked == {"first": 0, "other": 1}
    assert site.call(first, fallbacks=lambda: [route_of(other)]) == "Hello there"
    assert site.asked == {"first": 1, "other": 2}


def test_a_limited_target_alone_gives_its_providers_word(site: Site) -> None:
    first = site.target(
        "first", says({"error": {"message": "slow down"}}, 429, {"retry-after": "20"})
    )
    for _ in range(2):
        error = site.fails(first)
        assert (error.status, error.headers["retry-after"]) == (429, "20")
    assert site.attempts.count == 1


def test_a_target_that_cannot_say_it_is_passed_over_and_the_reason_kept(site: Site) -> None:
    toolless = site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"})))
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert site.call(toolless, site.target("second"), chat=chat) == "Hello there"
    assert [(str(skipped), reason.param) for skipped, reason in site.attempts.skipped] == [
        ("of-toolless/toolless", "tools")
    ]  # type: ignore[attr-defined]
    assert site.attempts.count == 1
    assert isinstance(site.fails(toolless, chat=chat), UnsupportedField)
    assert site.asked["toolless"] == 0


def test_what_could_say_it_but_is_out_of_order_is_worth_waiting_for(site: Site) -> None:
    toolless, second = (
        site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"}))),
        site.target("second"),
    )
    out(site, second)
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert isinstance(site.fails(toolless, second, chat=chat), NoTargetAvailable)


# --- limits ----------------------------------------------------------------------------------------------------------


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
def test_a_target_is_covered_once_with_what_it_is_sent_however_often_it_is_asked(
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
    assert site.asked == {"first": 2, "other": 1}
    assert limits.covered == [("r", "first"), ("f", "other")]
    assert limits.bodies == [site.server.seen("first")[0].body, site.server.seen("other")[0].body]
    assert site.attempts.sent_tokens == 1002


@both
@pytest.mark.parametrize(
    "error", [RateLimited("no room"), BudgetExceeded("too dear"), DatabaseUnavailable("gone")]
)
def test_a_target_without_room_is_passed_over(site: Site, stream: bool, error: Exception) -> None:
    limits = Limits("first", error=error)
    first, second = site.target("first", max_concurrency_override=1), site.target("second")
    assert site.call(first, second, reserve=limits.reserve, stream=stream) == "Hello there"
    assert site.asked == {"first": 0, "second": 1}
    assert site.fails(first, reserve=limits.reserve, stream=stream) is error


def test_what_a_provider_said_is_the_answer_where_there_is_no_room_for_another(site: Site) -> None:
    error = site.fails(
        site.target("first", says(ERROR, 404)),
        site.target("second"),
        reserve=Limits("second").reserve,
    )
    assert error.provider == "of-first"


def test_limits_are_not_asked_for_what_no_target_can_express_nor_for_what_is_out_of_order(
    site: Site,
) -> None:
    limits, toolless = (
        Limits(),
        site.target("toolless", quirks=Quirks(unsupported=frozenset({"tools"}))),
    )
    chat = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert isinstance(site.fails(toolless, chat=chat, reserve=limits.reserve), UnsupportedField)
    first = site.target("first")
    out(site, first)
    assert isinstance(site.fails(first, reserve=limits.reserve), NoTargetAvailable)
    assert limits.covered == []


def test_no_place_is_taken_at_a_target_that_there_is_no_room_for(site: Site) -> None:
    first = site.target("first", max_concurrency_override=1)

    async def reserve(route: Route, prepared: PreparedRequest) -> None:
        assert site.pool.concurrency.in_use == {}
        raise RateLimited("no room")

    site.fails(first, reserve=reserve)


def test_files_are_fetched_only_for_callers_who_have_room(site: Site) -> None:
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
    assert isinstance(site.fails(first, chat=chat, reserve=Limits("first").reserve), RateLimited)
    assert len(site.server.requests) == before
    assert isinstance(
        site.fails(first, chat=chat, reserve=Limits().reserve), UnsupportedField
    )  # what is there is no image
    assert len(site.server.requests) == before + 1


# --- places ----------------------------------------------------------------------------------------------------------


@both
def test_a_full_target_sends_calls_on_and_then_away(site: Site, stream: bool) -> None:
    gate = site.server.gate()
    held = streams(gate, *HELLO) if stream else (lambda exchange: _after(gate, exchange))
    first, second = (
        site.target("first", held, max_concurrency_override=1),
        site.target("second", held, max_concurrency_override=1),
    )
    site.pool.concurrency._queue_seconds = 0.01

    async def calls() -> list[Any]:
        one = asyncio.create_task(site.acall(first, second, stream=stream))
        await asyncio.to_thread(until, lambda: site.asked["first"], "the first call")
        two = asyncio.create_task(site.acall(first, second, stream=stream))
        await asyncio.to_thread(until, lambda: site.asked["second"], "the second call")
        with pytest.raises(NoTargetAvailable) as caught:
            await site.acall(first, second, stream=stream)
        gate.open()
        return [await one, await two, caught.value.headers["retry-after"]]

    assert site.run(calls) == ["Hello there", "Hello there", "1"]
    assert site.pool.concurrency.in_use == {}


async def _after(gate: Any, exchange: Any) -> None:
    await gate(exchange)
    await exchange.json(completion())


@both
def test_a_call_that_is_cancelled_leaves_nothing_behind(site: Site, stream: bool) -> None:
    first = site.target("first", stalls, max_concurrency_override=1)

    async def call() -> None:
        before = site.server.open_connections
        task = asyncio.create_task(site.acall(first, site.target("second"), stream=stream))
        await asyncio.to_thread(until, lambda: site.asked["first"], "the call")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert site.pool.concurrency.in_use == {}
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before, "the connection to be closed"
        )

    site.run(call)
    assert site.asked == {"first": 1, "second": 0}


def test_a_stream_that_is_left_gives_its_place_back(site: Site) -> None:
    first = site.target("first", begins_then(stalls), max_concurrency_override=1)

    async def call() -> None:
        opened = await attempts.open_stream(
            {**HI, "stream": True}, CallPlan(route_of(first)), site.attempts, site.pool
        )
        async for _ in opened:
            break
        assert site.pool.concurrency.in_use == {first.key: 1}
        await opened.aclose()
        assert site.pool.concurrency.in_use == {}

    site.run(call)


def test_what_a_stream_has_read_and_not_handed_on_can_be_counted(site: Site) -> None:
    async def call() -> None:
        opened = await attempts.open_stream(
            {**HI, "stream": True},
            CallPlan(route_of(site.target("first", begins_then(stalls)))),
            site.attempts,
            site.pool,
        )
        waiting = "".join(delta.get("content") or "" for delta in opened.unread_deltas())
        async for batch in opened:
            assert (
                waiting
                == "".join(
                    choice["delta"].get("content") or ""
                    for chunk in batch
                    for choice in chunk["choices"]
                )
                != ""
            )
            break
        assert not any(delta.get("content") for delta in opened.unread_deltas())
        await opened.aclose()

    site.run(call)


def test_the_fastest_target_is_found_by_measuring(site: Site) -> None:
    async def takes_a_second(exchange: Any) -> None:
        site.clock.now += 1
        await hello(exchange)

    slow, quick = site.target("slow", takes_a_second), site.target("quick")
    route: dict[str, Any] = {"strategy": "fastest"}
    for _ in range(6):
        site.call(slow, quick, stream=True, route=route)
    assert site.asked == {"slow": 1, "quick": 5}


# --- hedging ---------------------------------------------------------------------------------------------------------

HEDGED: dict[str, Any] = {"hedge_after": 0.05}


@both
def test_a_late_first_token_starts_a_second_target_and_the_loser_is_cancelled(
    site: Site, stream: bool
) -> None:
    before = site.server.open_connections
    first, second = site.target("first", stalls), site.target("second")

    async def call() -> str:
        said = await site.acall(first, second, stream=stream, route=HEDGED)
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before + 1, "the loser to be closed"
        )
        return said

    assert site.run(call) == "Hello there"
    assert site.attempts.count == 2
    assert site.attempts.target is second
    assert site.attempts.hedged == [(first, None)]
    assert site.pool.concurrency.in_use == {}


def test_the_first_target_may_still_win(site: Site) -> None:
    async def late(exchange: Any) -> None:
        await asyncio.sleep(0.2)
        await hello(exchange)

    first, second = site.target("first", late), site.target("second", stalls)
    assert site.call(first, second, route=HEDGED) == "Hello there"
    assert site.attempts.target is first
    assert site.attempts.hedged == [(second, None)]


def test_a_quick_answer_is_not_hedged(site: Site) -> None:
    assert (
        site.call(site.target("first"), site.target("second"), route={"hedge_after": 5})
        == "Hello there"
    )
    assert site.asked == {"first": 1, "second": 0}


def test_the_other_walk_goes_on_where_one_fails(site: Site) -> None:
    first, second, third = (
        site.target("first", stalls, timeouts=QUICK),
        site.target("second", says(ERROR, 404)),
        site.target("third"),
    )
    assert site.call(first, second, third, route=HEDGED) == "Hello there"
    assert site.asked == {"first": 1, "second": 1, "third": 1}


def test_where_both_fail_the_call_fails(site: Site) -> None:
    gate = site.server.gate()

    async def after_the_second(exchange: Any) -> None:
        await gate(exchange)
        await asyncio.sleep(0.1)
        await exchange.json({"error": {"message": "the last word"}}, 404)

    async def before_the_first(exchange: Any) -> None:
        await exchange.json(ERROR, 404)
        gate.open()

    error = site.fails(
        site.target("first", after_the_second),
        site.target("second", before_the_first),
        route=HEDGED,
    )
    assert "the last word" in error.message


def test_a_hedged_call_that_is_cancelled_leaves_nothing_behind(site: Site) -> None:
    first, second = site.target("first", stalls), site.target("second", stalls)

    async def call() -> None:
        before = site.server.open_connections
        task = asyncio.create_task(site.acall(first, second, stream=True, route=HEDGED))
        await asyncio.to_thread(until, lambda: site.asked["second"], "the second target")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before, "both connections to be closed"
        )

    site.run(call)
    assert site.pool.concurrency.in_use == {}
    assert (site.attempts.target, site.attempts.hedged) == (second, [(first, None)])


def test_the_routes_own_percentile_is_used_once_it_is_known(site: Site) -> None:
    first, second = site.target("first", *[hello] * 20, stalls), site.target("second")
    route: dict[str, Any] = {"hedge_after": "p95"}
    for _ in range(20):
        site.call(first, second, route=route)
    assert site.asked == {"first": 20, "second": 0}
    assert site.pool.latency.percentile_95("r", False) == 0.0, "the clock stood still"
    assert site.call(first, second, route=route) == "Hello there"
    assert site.asked == {"first": 21, "second": 1}


def test_hedging_is_off_by_default() -> None:
    assert Route("r", ()).hedge_after is None
