"""Counting input tokens in both APIs: by the provider of the model, else by our estimate. It costs
nothing, and only the number of calls is limited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.front.conftest import Serve, native_api, sdk_for
from tests.scripted_provider import Exchange, Upstream
from tests.servers import Site

HELLO = [{"role": "user", "content": "How many tokens are this?"}]
MESSAGES = "/v1/messages/count_tokens"
RESPONSES = "/v1/responses/input_tokens"


@pytest.fixture
def messages_sdk(asgi_site: Site) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=asgi_site.url, api_key=asgi_site.key, max_retries=0, timeout=60
    ) as client:
        yield client


def counts(upstream: Upstream, model: str, reply: Any, status: int = 200) -> list[str]:
    """Script an answer to a request for a count. Returns where the requests came, as they come."""
    paths: list[str] = []

    async def script(exchange: Exchange) -> None:
        paths.append(exchange.received.path)
        await exchange.json(reply, status)

    upstream.script(model, script)
    return paths


def record_of(site: Site, response: httpx.Response) -> Any:
    [record] = site.wait_for_usage(request_id=response.headers["x-request-id"])
    return record


def test_the_provider_counts_a_message(
    messages_sdk: anthropic.Anthropic, upstream: Upstream, asgi_site: Site
) -> None:
    paths = counts(upstream, "counted", {"input_tokens": 14})
    raw = messages_sdk.messages.with_raw_response.count_tokens(
        model="claude/counted", messages=HELLO, system="Be brief."
    )
    assert raw.parse().input_tokens == 14
    assert "x-native-estimated" not in raw.headers
    assert paths == ["/v1/messages/count_tokens"]
    assert upstream.requests_for("counted")[-1].body == {
        "model": "counted",
        "messages": HELLO,
        "system": "Be brief.",
    }
    [record] = asgi_site.wait_for_usage(request_id=raw.headers["x-request-id"])
    assert (record["endpoint"], record["status"], record["attempts"]) == (
        "messages/count_tokens",
        "ok",
        1,
    )
    assert (record["provider"], record["prompt_tokens"], record["total_tokens"]) == ("claude", 0, 0)
    assert float(record["cost"]) == 0


def test_the_provider_counts_a_response(asgi_site: Site, upstream: Upstream) -> None:
    paths = counts(upstream, "counted-too", {"object": "x", "input_tokens": 15})
    with sdk_for(asgi_site) as sdk:
        count = sdk.responses.input_tokens.count(model="responses/counted-too", input="Hello")
    assert (count.input_tokens, count.object) == (15, "response.input_tokens")
    assert paths == ["/v1/responses/input_tokens"]
    assert upstream.requests_for("counted-too")[-1].body == {
        "model": "counted-too",
        "input": "Hello",
    }
    [record] = asgi_site.wait_for_usage(endpoint="responses/input_tokens", provider="responses")
    assert float(record["cost"]) == 0


@pytest.mark.parametrize(
    ("path", "model", "endpoint"),
    [
        (MESSAGES, "responses/crossed", "input_tokens"),
        (RESPONSES, "claude/crossed", "count_tokens"),
    ],
)
def test_a_provider_of_the_other_wire_counts_too(
    http: httpx.Client, upstream: Upstream, path: str, model: str, endpoint: str
) -> None:
    paths = counts(upstream, "crossed", {"input_tokens": 16})
    response = http.post(path, json={"model": model, "messages": HELLO, "input": "Hello"})
    assert response.json()["input_tokens"] == 16
    assert [each.rpartition("/")[2] for each in paths] == [endpoint]


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
def test_a_wire_without_counts_is_estimated(
    http: httpx.Client, asgi_site: Site, upstream: Upstream, path: str
) -> None:
    text = "A word and another one. " * 100
    body = {"model": "up/uncounted", "messages": [{"role": "user", "content": text}], "input": text}
    response = http.post(path, json=body)
    assert 400 < response.json()["input_tokens"] < 900
    assert response.headers["x-native-estimated"] == "true"
    assert upstream.requests_for("uncounted") == []
    record = record_of(asgi_site, response)
    assert (record["attempts"], record["provider"], record["status"]) == (0, "up", "ok")


@pytest.mark.parametrize("status", [401, 404, 429, 500, 529])
def test_a_provider_that_fails_is_estimated(
    http: httpx.Client, upstream: Upstream, status: int
) -> None:
    model = f"fails-{status}"
    paths = counts(upstream, model, {"error": {"type": "api_error", "message": "no"}}, status)
    for _ in range(2):
        response = http.post(MESSAGES, json={"model": f"claude/{model}", "messages": HELLO})
        assert (response.status_code, response.headers["x-native-estimated"]) == (200, "true")
        assert response.json()["input_tokens"] > 0
    assert len(paths) == 2, "it is asked once each time, and no circuit opens"


@pytest.mark.parametrize("reply", [{}, {"input_tokens": "12"}, [], "12", {"input_tokens": -1}])
def test_an_answer_that_is_no_count_is_estimated(
    http: httpx.Client, upstream: Upstream, reply: Any
) -> None:
    counts(upstream, "odd-count", reply)
    response = http.post(MESSAGES, json={"model": "claude/odd-count", "messages": HELLO})
    assert response.headers["x-native-estimated"] == "true"


def test_what_the_provider_refuses_is_the_clients_to_correct(
    messages_sdk: anthropic.Anthropic, upstream: Upstream
) -> None:
    refusal = {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.0: tool_use without result",
        },
    }
    counts(upstream, "refuses", refusal, 400)
    with pytest.raises(anthropic.BadRequestError, match="tool_use without result"):
        messages_sdk.messages.count_tokens(model="claude/refuses", messages=HELLO)


def test_the_fields_of_the_answer_may_be_there(http: httpx.Client, upstream: Upstream) -> None:
    """Clients count the very request that they are about to send."""
    counts(upstream, "whole", {"input_tokens": 17})
    body = {"model": "claude/whole", "messages": HELLO, "max_tokens": 100, "stream": True}
    response = http.post(f"{MESSAGES}?beta=true", json=body)
    assert response.json() == {"input_tokens": 17}
    assert upstream.requests_for("whole")[-1].body.keys() == {"model", "messages"}
    counts(upstream, "whole-response", {"input_tokens": 18})
    body = {"model": "responses/whole-response", "input": "Hi", "stream": True, "temperature": 1}
    assert http.post(RESPONSES, json=body).json()["input_tokens"] == 18
    assert upstream.requests_for("whole-response")[-1].body.keys() == {"model", "input"}


@pytest.mark.parametrize(("path", "kind"), [(MESSAGES, "not_found_error"), (RESPONSES, None)])
def test_access_is_checked(http: httpx.Client, path: str, kind: str | None) -> None:
    response = http.post(path, json={"model": "nobody", "messages": HELLO, "input": "Hi"})
    assert response.status_code == 404
    assert response.json().get("type") == (kind and "error")


def test_only_the_number_of_calls_is_limited(upstream: Upstream, serve: Serve) -> None:
    counts(upstream, "limited", {"input_tokens": 19})
    limits = [
        {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 1, "WINDOW": "day"},
        {"SUBJECT": "everyone", "METRIC": "input_tokens", "AMOUNT": 1, "WINDOW": "minute"},
        {"SUBJECT": "everyone", "METRIC": "cost", "AMOUNT": "0.000001", "WINDOW": "month"},
        {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 3, "WINDOW": "month"},
    ]
    with serve("uvicorn", native_api(upstream, LIMITS=limits)) as site:
        url, body = f"{site.url}{MESSAGES}", {"model": "claude/limited", "messages": HELLO}
        asked = [
            httpx.post(url, json=body, headers=site.headers, trust_env=False, timeout=60)
            for _ in range(4)
        ]
    assert [response.status_code for response in asked] == [200, 200, 200, 429]
    assert asked[0].headers["anthropic-ratelimit-requests-remaining"] == "2"
    assert asked[3].json()["error"]["type"] == "rate_limit_error"


def test_one_call_asks_no_more_providers_than_it_may_try(upstream: Upstream, serve: Serve) -> None:
    models = [f"uncountable-{number}" for number in range(4)]
    paths = [counts(upstream, model, {}, 500) for model in models]
    targets = [{"PROVIDER": "claude", "MODEL": model} for model in models]
    settings = native_api(
        upstream, MODELS={"wide": {"TARGETS": targets}}, ATTEMPTS={"MAX": 2, "RETRIES": 0}
    )
    body = {"model": "wide", "messages": HELLO}
    with serve("uvicorn", settings) as site:
        url = f"{site.url}{MESSAGES}"
        response = httpx.post(url, json=body, headers=site.headers, trust_env=False, timeout=60)
    assert response.headers["x-native-estimated"] == "true"
    assert sum(map(len, paths)) == 2


def test_a_key_is_needed(asgi_site: Site) -> None:
    client = openai.OpenAI(base_url=f"{asgi_site.url}/v1", api_key="wrong", max_retries=0)
    with client as sdk, pytest.raises(openai.AuthenticationError):
        sdk.responses.input_tokens.count(model="hello", input="Hi")
