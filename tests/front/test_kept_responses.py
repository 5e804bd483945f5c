"""Kept responses through the official SDK, at real servers whose responses another process has
kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import openai
import pytest

from tests.front.conftest import Serve, native_api, sdk_for
from tests.gateway.kept import asks, response, says
from tests.scripted_provider import Upstream
from tests.servers import Site, manage, run

INPUT = [{"id": f"msg_in_{number}", **asks(f"question {number}")} for number in range(3)]
KEPT = {
    **response("resp_1", says("The answer."), previous_response_id=None, usage=None),
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
EXPECTED_404 = "Response with id '{}' not found. Responses are kept for 30 days, for the caller"


def keep(site: Site, *responses: dict[str, Any], user: str = "alice") -> list[bool]:
    calls = [{"user": user, "response": each, "input": INPUT} for each in responses]
    printed = run(site.environment, "-m", "tests.front.keep_response", json.dumps(calls))
    kept: list[bool] = json.loads(printed)
    return kept


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn-sync"])
def keeping(request: pytest.FixtureRequest, serve: Serve, upstream: Upstream) -> Iterator[Site]:
    settings = native_api(upstream, RESPONSES={"STORE": True})
    with serve(request.param, settings) as site:
        code = "from django.contrib.auth.models import User; User.objects.create(username='bob')"
        manage(site.environment, "shell", "--command", code)
        assert keep(site, KEPT) == [True]
        yield site


@pytest.fixture
def alice(keeping: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(keeping) as client:
        yield client


@pytest.fixture
def bob(keeping: Site) -> Iterator[openai.OpenAI]:
    key = manage(keeping.environment, "native_key", "create", "bob", "--name", "tests")
    with sdk_for(keeping).copy(api_key=key) as client:
        yield client


def test_a_response_is_read_as_it_was_answered(alice: openai.OpenAI) -> None:
    read = alice.responses.retrieve("resp_1")
    assert read.output_text == "The answer."
    raw = alice.responses.with_raw_response.retrieve("resp_1")
    assert raw.http_response.json() == KEPT
    assert raw.headers["cache-control"] == "no-store"
    assert raw.headers["x-request-id"]


def test_another_key_of_the_user_reads_it_too(keeping: Site, alice: openai.OpenAI) -> None:
    key = manage(keeping.environment, "native_key", "create", "alice", "--name", "laptop")
    assert alice.copy(api_key=key).responses.retrieve("resp_1").id == "resp_1"


def test_input_items(alice: openai.OpenAI) -> None:
    assert [item.id for item in alice.responses.input_items.list("resp_1")] == [
        "msg_in_2", "msg_in_1", "msg_in_0",
    ]  # fmt: skip
    paged = alice.responses.input_items.list("resp_1", order="asc", limit=1)
    assert [item.id for item in paged.data] == ["msg_in_0"]
    assert [item.id for item in paged] == ["msg_in_0", "msg_in_1", "msg_in_2"]
    first: Any = paged.data[0]
    assert first.content[0].text == "question 0"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("order=up", "order"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("after=msg_9", "after"),
    ],
)
def test_a_parameter_that_is_wrong(keeping: Site, query: str, param: str) -> None:
    answer = ask(keeping, "GET", f"resp_1/input_items?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_deleting(keeping: Site, alice: openai.OpenAI) -> None:
    assert keep(keeping, {**KEPT, "id": "resp_2"}) == [True]
    answer = ask(keeping, "DELETE", "resp_2")
    assert answer.json() == {"id": "resp_2", "object": "response", "deleted": True}
    with pytest.raises(openai.NotFoundError):
        alice.responses.retrieve("resp_2")
    with pytest.raises(openai.NotFoundError):
        alice.responses.delete("resp_2")


@pytest.mark.parametrize("identity", ["resp_1", "resp_unknown", "resp%00", "x" * 300])
def test_another_callers_is_the_same_as_an_unknown_one(
    keeping: Site, bob: openai.OpenAI, identity: str
) -> None:
    ways = [("GET", identity), ("DELETE", identity), ("GET", f"{identity}/input_items")]
    for method, path in ways:
        answer = ask(keeping, method, path, bob.api_key)
        assert answer.status_code == 404
        error = answer.json()["error"]
        shown = httpx.URL(f"http://a/{identity}").path.removeprefix("/")[:100]
        assert error["message"].startswith(EXPECTED_404.format(shown))
        assert (error["type"], error["code"]) == ("not_found_error", "not_found")
    assert ask(keeping, "GET", "resp_1").status_code == 200


def test_without_a_key_nothing_is_said(keeping: Site) -> None:
    for identity in ("resp_1", "resp_unknown"):
        assert httpx.get(f"{keeping.url}/v1/responses/{identity}", timeout=60).status_code == 401


def test_what_is_not_offered(keeping: Site, alice: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="stream: a kept response is only answered"):
        list(alice.responses.retrieve("resp_1", stream=True))
    with pytest.raises(openai.BadRequestError, match="made in the background"):
        alice.responses.cancel("resp_1")
    assert ask(keeping, "PUT", "resp_1").status_code == 405


def test_a_site_that_keeps_nothing_names_the_setting_and_the_way_round(
    serve: Serve, upstream: Upstream
) -> None:
    with serve("uvicorn", native_api(upstream)) as site:
        assert keep(site, KEPT) == [False]
        for method, path in (
            ("GET", "resp_1"),
            ("DELETE", "resp_1"),
            ("GET", "resp_1/input_items"),
            ("POST", "resp_1/cancel"),
        ):
            answer = ask(site, method, path)
            assert answer.status_code == 400
            message = answer.json()["error"]["message"]
            assert "(RESPONSES)" in message
            assert "send the whole conversation as `input`" in message
            assert "providerOptions.openai.store = false" in message


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_what_is_loaded_counts_in_the_memory_of_all_bodies(
    serve: Serve, upstream: Upstream, kind: str
) -> None:
    settings = native_api(upstream, RESPONSES={"STORE": True}, MAX_BODIES_BYTES=100_000)
    with serve(kind, settings) as site, sdk_for(site) as client:
        first = client.responses.create(model="echo/any", input="x" * 40_000)  # and echoed
        for _ in range(5):
            create = partial(client.responses.create, model="echo/any", input="Hi")
            assert create(previous_response_id=first.id).store
        second = create(previous_response_id=first.id, input="y" * 15_000)
        with pytest.raises(openai.InternalServerError, match="MAX_BODIES_BYTES") as caught:
            create(previous_response_id=second.id)
        assert caught.value.status_code == 503
        assert create(previous_response_id=first.id).store


def ask(site: Site, method: str, path: str, key: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or site.key}"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.request(method, f"{site.url}/v1/responses/{path}", headers=headers)
