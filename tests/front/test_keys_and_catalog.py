"""Keys, rates, and what an administrator changes, as a running server sees them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.front.conftest import Serve, native_api
from tests.scripted_provider import Upstream
from tests.servers import Site, manage, until

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def own_site(upstream: Upstream, serve: Serve) -> Iterator[Site]:
    settings = native_api(upstream, THROTTLE_RATES={"caller": "1000/m", "failed_auth": "3/m"})
    with serve("uvicorn", settings) as running:
        yield running


def call(site: Site, key: str, model: str = "hello") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(
        f"{site.url}/v1/chat/completions",
        headers=headers,
        json={**CHAT, "model": model},
        trust_env=False,
        timeout=60,
    )


def test_a_new_key_works_at_once_and_a_revoked_one_stops_while_the_site_runs(
    own_site: Site,
) -> None:
    key = manage(own_site.environment, "native_key", "create", "alice", "--name", "short-lived")
    assert "\n" not in key
    assert call(own_site, key).status_code == 200
    manage(own_site.environment, "native_key", "revoke", key[:11])
    until(lambda: call(own_site, key).status_code == 401, "the key to stop working")
    assert key not in manage(own_site.environment, "native_key", "list")


def test_a_rotated_key_stops_and_the_new_one_works(own_site: Site) -> None:
    old = manage(own_site.environment, "native_key", "create", "alice", "--name", "rotated")
    new = manage(own_site.environment, "native_key", "rotate", old[:11])
    assert call(own_site, new).status_code == 200
    until(lambda: call(own_site, old).status_code in (401, 429), "the old key to stop working")


def test_a_key_may_be_bound_to_models(own_site: Site) -> None:
    key = manage(
        own_site.environment,
        "native_key",
        "create",
        "alice",
        "--name",
        "bound",
        "--models",
        "hello,up/*",
    )
    assert call(own_site, key, "up/anything").status_code == 200
    refused = call(own_site, key, "second-chance")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    [record] = own_site.wait_for_usage(request_id=refused.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["api_key_name"], record["attempts"]) == (
        "refused",
        "model_not_allowed",
        "bound",
        0,
    )
    listed = httpx.get(
        f"{own_site.url}/v1/models",
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    ).json()
    assert [model["id"] for model in listed["data"]] == ["hello"]


def test_a_key_may_have_a_rate_of_its_own(own_site: Site) -> None:
    key = manage(
        own_site.environment,
        "native_key",
        "create",
        "alice",
        "--name",
        "slow",
        "--throttle-rate",
        "2/h",
    )
    answers = [call(own_site, key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == [
        "1",
        "0",
        "0",
    ]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 3600
    with (
        openai.OpenAI(base_url=f"{own_site.url}/v1", api_key=key, max_retries=0) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(**CHAT)


def test_the_sdk_waits_as_long_as_it_is_told_and_gets_through(own_site: Site) -> None:
    """One in two seconds: the second call is refused, and the SDK's own retry after `Retry-After`
    is not."""
    key = manage(
        own_site.environment,
        "native_key",
        "create",
        "alice",
        "--name",
        "one-in-two",
        "--throttle-rate",
        "1/2s",
    )
    with openai.OpenAI(base_url=f"{own_site.url}/v1", api_key=key, max_retries=2) as client:
        answers = [client.chat.completions.with_raw_response.create(**CHAT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert any(answer.retries_taken for answer in answers)


def test_the_use_of_a_key_is_noted(own_site: Site) -> None:
    key = manage(own_site.environment, "native_key", "create", "alice", "--name", "noted")
    call(own_site, key)
    query = "SELECT last_used_at FROM native_api_apikey WHERE prefix = ?"
    until(lambda: own_site.rows(query, key[:11])[0]["last_used_at"], "last_used_at to be written")


def test_too_many_failures_from_one_address_are_slowed_and_a_good_key_still_works(
    own_site: Site,
) -> None:
    wrong = own_site.key[:-1] + ("a" if own_site.key[-1] != "a" else "b")
    statuses = [call(own_site, wrong).status_code for _ in range(6)]
    assert 429 in statuses
    assert call(own_site, own_site.key).status_code == 200


def test_rows_of_an_administrator_are_live_while_the_site_runs(
    own_site: Site, upstream: Upstream
) -> None:
    assert call(own_site, own_site.key, "from-a-row").status_code == 404
    connection = sqlite3.connect(own_site.database, timeout=60)
    with connection:
        connection.execute(
            "INSERT INTO native_api_modelroute (id, name, enabled) VALUES (77, 'from-a-row', 1)"
        )
        connection.execute(
            "INSERT INTO native_api_target (route_id, provider, model, priority, weight, enabled) VALUES (77, 'up', 'row-model', 0, 1, 1)"
        )
    connection.close()
    until(
        lambda: call(own_site, own_site.key, "from-a-row").status_code == 200,
        "the route to be there",
    )
    assert upstream.requests_for("row-model")


def test_models_are_listed_and_described(own_site: Site) -> None:
    with openai.OpenAI(base_url=f"{own_site.url}/v1", api_key=own_site.key) as client:
        assert "hello" in [model.id for model in client.models.list()]
        assert client.models.retrieve("hello").owned_by == "up"
        assert client.models.retrieve("up/some-model").id == "up/some-model"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("nobody")


def test_health_tells_states_and_no_names(own_site: Site) -> None:
    live = httpx.get(f"{own_site.url}/health/live", trust_env=False, timeout=60)
    ready = httpx.get(f"{own_site.url}/health/ready", trust_env=False, timeout=60)
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert ready.json()["status"] == "ok"
    assert ready.json()["checks"].keys() == {
        "settings",
        "database",
        "cache",
        "providers",
        "limits",
        "journal",
    }
