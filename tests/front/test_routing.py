"""Routing as a client meets it: tiers, fallbacks and who may use them, what is told and recorded,
hedging, nobody left."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.front.conftest import Serve, native_api
from tests.front.test_errors import error_of
from tests.front.test_native_check import log_in
from tests.scripted_provider import (
    Upstream,
    completion,
    cuts,
    event,
    says,
    stalls,
    streams,
)
from tests.servers import Site, manage, running_site, until

PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]


def to(*models: str, **options: Any) -> dict[str, Any]:
    """A route to these models of the scripted provider."""
    return {"TARGETS": [{"PROVIDER": "up", "MODEL": model} for model in models], **options}


NO_ROOM = "request (124315 tokens) exceeds the available context size (123904 tokens)"
"""llama.cpp's words; the code says nothing."""

MODELS = {
    "simple": to("small"),
    "moderate": to("middle"),
    "hello": to("hello"),
    "guarded": to("fails-guarded", FALLBACKS=["secret", "hello"]),
    "secret": to("secret"),
    "wide": to("wide"),
    "narrow": to("narrow", CONTEXT_FALLBACKS=["wide"]),
    "many": to("many-1", "many-2", "many-3", STRATEGY="weighted"),
    "hedged": to("late", "early", HEDGE=0.2),
    "lame": {
        "TARGETS": [{"PROVIDER": "dead", "MODEL": "lame"}, {"PROVIDER": "up", "MODEL": "hello"}]
    },
    "limping": {
        "TARGETS": [{"PROVIDER": "up", "MODEL": "limping"}, {"PROVIDER": "up", "MODEL": "hello"}]
    },
    "unpaid": {"TARGETS": [{"PROVIDER": "keyless", "MODEL": "unpaid"}]},
    "fragile": {"TARGETS": [{"PROVIDER": "dead", "MODEL": "any", "RETRIES": 4}]},
    "lone": {"TARGETS": [{"PROVIDER": "shared", "MODEL": "lone"}]},
    "lone-but-safe": {
        "TARGETS": [{"PROVIDER": "shared", "MODEL": "lone-but-safe"}],
        "FALLBACKS": ["hello"],
    },
}


@pytest.fixture(scope="module")
def routed(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    upstream.script("fails-guarded", says({"error": {"message": "no such model"}}, 404))
    upstream.script("narrow", says({"error": {"code": 400, "message": NO_ROOM}}, 400))
    upstream.script("late", stalls)
    upstream.script("unpaid", says({"error": {"message": "Incorrect API key provided"}}, 401))
    settings = native_api(upstream, MODELS=MODELS)
    settings["PROVIDERS"]["keyless"] = {
        "DIALECT": "openai",
        "BASE_URL": upstream.url,
        "API_KEY": "sk-revoked",
    }
    settings["PROVIDERS"]["shared"] = {
        "DIALECT": "openai",
        "BASE_URL": upstream.url,
        "API_KEY": "sk-shared",
    }
    with serve("uvicorn", settings) as site:
        yield site


@pytest.fixture
def http(routed: Site) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=routed.url, headers=routed.headers, timeout=60, trust_env=False
    ) as client:
        yield client


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post(PATH, json={"messages": HI, **fields})


@pytest.fixture(scope="module")
def bound(routed: Site) -> dict[str, str]:
    """The headers of a caller who may not use everything."""
    key = manage(
        routed.environment,
        "native_key",
        "create",
        "alice",
        "--name",
        "bound",
        "--models",
        "guarded,hello,simple",
    )
    return {"authorization": f"Bearer {key}"}


# --- tiers ---------------------------------------------------------------------------------------


def test_a_tier_is_the_route_of_its_name(http: httpx.Client, routed: Site) -> None:
    response = ask(http, tier="simple")
    assert response.headers["x-native-model"] == "simple"
    [record] = routed.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["model"], record["provider_model"], record["status"]) == (
        "simple",
        "small",
        "ok",
    )


def test_a_tier_without_a_route_and_a_tier_beside_a_model(http: httpx.Client) -> None:
    assert (
        error_of(ask(http, tier="complex"), 404, "not_found_error", "model_not_found")["param"]
        == "tier"
    )
    assert (
        error_of(
            ask(http, tier="simple", model="hello"), 400, "invalid_request_error", "invalid_request"
        )["param"]
        == "tier"
    )


def test_a_tier_is_as_guarded_as_its_route(http: httpx.Client, bound: dict[str, str]) -> None:
    http.headers.update(bound)
    assert ask(http, tier="simple").status_code == 200
    assert (
        error_of(ask(http, tier="moderate"), 403, "permission_error", "model_not_allowed")["param"]
        == "tier"
    )


def tier_of(http: httpx.Client, tier: str, conversation: str) -> str:
    """The tier that answers."""
    response = ask(http, tier=tier, conversation_id=conversation)
    assert response.status_code == 200, response.text
    return response.headers["x-native-model"]


def test_a_conversations_tier_only_goes_up(http: httpx.Client) -> None:
    assert [tier_of(http, tier, "a-talk") for tier in ("simple", "moderate", "simple")] == [
        "simple",
        "moderate",
        "moderate",
    ]
    assert tier_of(http, "simple", "another") == "simple"


def test_a_tier_that_was_refused_or_is_another_keys_raises_nothing(
    http: httpx.Client, bound: dict[str, str]
) -> None:
    assert ask(http, tier="complex", conversation_id="no-route").status_code == 404
    assert tier_of(http, "simple", "no-route") == "simple"
    assert tier_of(http, "moderate", "of-two-keys") == "moderate"
    http.headers.update(bound)
    assert tier_of(http, "simple", "of-two-keys") == "simple"
    assert ask(http, tier="moderate", conversation_id="refused").status_code == 403
    assert tier_of(http, "simple", "refused") == "simple"


def test_a_conversation_stays_on_its_target(http: httpx.Client, upstream: Upstream) -> None:
    for conversation in ("a", "b", "c", "d", "e", "f"):
        upstream.requests.clear()
        for _ in range(4):
            assert ask(http, model="many", conversation_id=conversation).status_code == 200
        assert len({received.body["model"] for received in upstream.requests}) == 1
        assert "conversation_id" not in upstream.requests[0].body


# --- fallbacks -----------------------------------------------------------------------------------


def test_a_fallback_answers_and_that_is_told(http: httpx.Client, routed: Site) -> None:
    response = ask(http, model="guarded")
    assert [response.headers[f"x-native-{name}"] for name in ("model", "provider", "attempts")] == [
        "secret",
        "up",
        "2",
    ]
    [record] = routed.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["model"], record["provider_model"], record["attempts"], record["status"]) == (
        "guarded",
        "secret",
        2,
        "ok",
    )


def test_a_routes_fallback_that_the_caller_may_not_use_is_passed_over(
    http: httpx.Client, bound: dict[str, str]
) -> None:
    http.headers.update(bound)
    assert ask(http, model="guarded").headers["x-native-model"] == "hello"


def test_a_requests_own_fallbacks_come_instead(http: httpx.Client) -> None:
    assert ask(http, model="guarded", fallbacks=["up/any"]).headers["x-native-model"] == "up/any"


def test_a_requests_own_fallbacks_are_checked_before_anything_is_called(
    http: httpx.Client, upstream: Upstream, bound: Any
) -> None:
    upstream.requests.clear()
    wrong = ask(http, model="hello", fallbacks=["simple", "nobody"])
    assert error_of(wrong, 404, "not_found_error", "model_not_found")["param"] == "fallbacks[1]"
    http.headers.update(bound)
    wrong = ask(http, model="hello", fallbacks=["secret"])
    assert error_of(wrong, 403, "permission_error", "model_not_allowed")["param"] == "fallbacks[0]"
    assert upstream.requests == []


def test_a_conversation_that_is_too_long_goes_where_there_is_room(
    http: httpx.Client, bound: dict[str, str]
) -> None:
    assert ask(http, model="narrow").headers["x-native-model"] == "wide"


# --- what is told --------------------------------------------------------------------------------


def test_an_error_tells_how_it_came_about_too(
    http: httpx.Client, routed: Site, upstream: Upstream
) -> None:
    upstream.script(
        "overloaded", says({"error": {"message": "overloaded"}}, 503, {"retry-after": "7"})
    )
    response = ask(http, model="up/overloaded", stream=True)
    error_of(response, 502, "upstream_error", "provider_error")
    assert [response.headers[f"x-native-{name}"] for name in ("model", "provider", "attempts")] == [
        "up/overloaded",
        "up",
        "1",
    ]
    assert response.headers["retry-after"] == "7"


def test_nobody_left_is_said_without_an_attempt_and_when_to_come_back(
    http: httpx.Client, routed: Site
) -> None:
    error_of(ask(http, model="fragile"), 502, "upstream_error", "connection_failed")
    response = ask(http, model="fragile")
    error_of(response, 503, "service_unavailable", "no_target_available")
    assert 0 < int(response.headers["retry-after"]) <= 30
    assert response.headers["x-native-attempts"] == "0"
    [record] = routed.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["status"], record["attempts"], record["provider"]) == ("error", 0, "")
    ready = http.get("/health/ready").json()
    assert (ready["status"], ready["checks"]["providers"]["circuit_open"] >= 1) == (
        "degraded",
        True,
    )


def test_a_key_that_its_provider_refuses_shows_to_operators(
    http: httpx.Client, routed: Site
) -> None:
    told = error_of(ask(http, model="unpaid"), 502, "upstream_error", "provider_error")
    assert told["provider"] == "keyless"

    def readiness() -> Any:
        found = http.get("/health/ready").json()
        return found if found["checks"]["providers"]["auth_failed"] else None

    ready = until(readiness, "readiness to tell of it: an answer serves for a second")
    assert (ready["status"], ready["checks"]["providers"]["auth_failed"]) == ("degraded", 1)
    with httpx.Client(
        base_url=routed.url.removesuffix("/native"),
        follow_redirects=True,
        trust_env=False,
        timeout=60,
    ) as browser:
        log_in(browser)
        listed = browser.get("/admin/native_api/provider/").text
    assert re.search(r"<th>keyless</th>.*<td>key refused \(401\)</td>", listed)
    assert "sk-revoked" not in listed


def test_a_cache_that_hangs_takes_neither_calls_nor_readiness_away(
    template: Any, upstream: Upstream, tmp_path: Path
) -> None:
    settings = native_api(upstream, MODELS=MODELS, THROTTLE_RATES={"caller": None})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        more = {
            "CACHE_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            "PATIENCE": "production",
        }
        with (
            running_site("uvicorn", tmp_path, *template, settings, **more) as site,
            httpx.Client(
                base_url=site.url, headers=site.headers, timeout=60, trust_env=False
            ) as client,
        ):
            answers = [ask(client, model="lame") for _ in range(10)]
            assert {answer.status_code for answer in answers} == {200}
            ready = client.get("/health/ready")
    checks = ready.json()["checks"]
    assert (ready.status_code, checks["cache"]) == (
        200,
        {"status": "degraded", "error": "CallTimeout"},
    )
    assert checks["providers"]["circuit_open"] == 1, "found out by the process itself"


def test_a_dead_first_target_is_not_asked_any_more_once_its_circuit_is_open(
    http: httpx.Client, upstream: Upstream
) -> None:
    upstream.script("limping", cuts)

    def asked() -> int:
        """Without the gateway's own probe, which comes whenever it is ready."""
        return len([one for one in upstream.requests_for("limping") if one.body["messages"] == HI])

    for _ in range(5):
        assert ask(http, model="limping").status_code == 200
    assert asked() == 5
    answers = [ask(http, model="limping") for _ in range(5)]
    assert [answer.headers["x-native-attempts"] for answer in answers] == ["1"] * 5
    assert asked() == 5


# --- hedging -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_what_was_hedged_is_on_record_beside_the_answer(
    http: httpx.Client, routed: Site, upstream: Upstream, stream: bool
) -> None:
    upstream.script(
        "early",
        streams(event({"content": "early"}), event({}, "stop"), b"data: [DONE]\n\n")
        if stream
        else says(completion("early")),
    )
    response = ask(http, model="hedged", stream=stream)
    assert "early" in response.text
    lost, won = sorted(
        routed.wait_for_usage(2, request_id=response.headers["x-request-id"]),
        key=lambda record: record["attempts"],
    )
    assert (won["provider_model"], won["status"], won["attempts"]) == ("early", "ok", 2)
    assert (lost["provider_model"], lost["status"], lost["error_code"], lost["attempts"]) == (
        "late",
        "client_closed",
        "hedged",
        0,
    )
    assert (lost["estimated"], lost["completion_tokens"]) == (1, 0)
    assert lost["prompt_tokens"] > 0
