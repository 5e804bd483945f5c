"""Circuits between callers: what one caller provokes does not concern the others."""

# ruff: noqa: F811  fixtures

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from tests.front.test_errors import error_of
from tests.front.test_routing import ask, http, routed  # noqa: F401  fixtures
from tests.routing.faults import REQUEST_STATUSES
from tests.scripted_provider import (
    Exchange,
    Script,
    Upstream,
    cuts,
    event,
    hello,
    says,
    streams,
)
from tests.servers import Site, manage, until

OTHERS = [307, 401, 402, 403, 407, 408, 429, 500, 501, 502, 503, 504, 520, 529, 599]
ERROR = {"error": {"message": "not so"}}
BREAKS_OFF = streams(event({"role": "assistant", "content": "half"}), cuts)
PROVOKED: dict[str, Script] = {
    **{
        str(status): says(ERROR, status, {"retry-after": "300"})
        for status in [*REQUEST_STATUSES, *OTHERS]
    },
    "in-a-200": says(ERROR),
    "nonsense": says(b"<html>"),
    "reset": cuts,
    "breaks-off": BREAKS_OFF,
}


@contextlib.contextmanager
def client_of(site: Site, name: str) -> Iterator[httpx.Client]:
    """A new user's."""
    environment = {**site.environment, "DJANGO_SUPERUSER_PASSWORD": name}
    manage(
        environment,
        "createsuperuser",
        "--noinput",
        "--username",
        name,
        "--email",
        f"{name}@b.example",
    )
    key = manage(site.environment, "native_key", "create", name, "--name", f"of-{name}")
    with httpx.Client(
        base_url=site.url, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def bob(routed: Site) -> Iterator[httpx.Client]:
    """Who does nothing wrong."""
    with client_of(routed, "bob") as client:
        yield client


@pytest.fixture(scope="module")
def service(routed: Site) -> Iterator[httpx.Client]:
    """Whose calls are all that a site has, say."""
    with client_of(routed, "service") as client:
        yield client


def only_if_bad(script: Script) -> Script:
    """A provider that fails at one kind of request and answers all others."""

    async def chosen(exchange: Exchange) -> None:
        await (script if exchange.received.body["messages"][-1]["content"] == "bad" else hello)(
            exchange
        )

    return chosen


@pytest.mark.parametrize("kind", PROVOKED)
def test_faults_of_one_caller_open_no_circuit_for_another(
    http: httpx.Client, bob: httpx.Client, upstream: Upstream, kind: str
) -> None:
    model = f"provoked-{kind}"
    upstream.script(model, only_if_bad(PROVOKED[kind]))
    for _ in range(20):
        ask(
            http,
            model=f"shared/{model}",
            messages=[{"role": "user", "content": "bad"}],
            stream=kind == "breaks-off",
        )
    before = len(upstream.requests_for(model))
    for _ in range(3):
        answer = ask(bob, model=f"shared/{model}")
        assert (answer.status_code, answer.headers["x-native-provider"]) == (200, "shared")
    asked = [received.body["messages"][-1]["content"] for received in upstream.requests_for(model)]
    assert asked[before:].count("Hi") == 3
    assert asked.count("Say OK.") <= 1, "the gateway's own"
    if kind in map(str, REQUEST_STATUSES):
        assert asked.count("bad") == 20, "it speaks of the request, so nobody is diverted"


def test_another_key_of_a_user_is_the_same_caller(
    http: httpx.Client, upstream: Upstream, routed: Site
) -> None:
    upstream.script("two-keys", only_if_bad(says(ERROR, 500)))
    key = manage(routed.environment, "native_key", "create", "alice", "--name", "second")
    for _ in range(5):
        ask(http, model="shared/two-keys", messages=[{"role": "user", "content": "bad"}])
    http.headers["authorization"] = f"Bearer {key}"
    error_of(ask(http, model="shared/two-keys"), 503, "service_unavailable", "no_target_available")


@pytest.mark.parametrize(("model", "answers"), [("lone", 503), ("lone-but-safe", 200)])
def test_a_site_with_one_key_has_its_circuit(
    service: httpx.Client,
    bob: httpx.Client,
    routed: Site,
    upstream: Upstream,
    model: str,
    answers: int,
) -> None:
    upstream.script(model, says(ERROR, 500))
    for _ in range(5):
        ask(service, model=model)
    until(
        lambda: f"Circuit of shared/{model} opened (provider_error): not called" in routed.log(),
        "the gateway's own probe to fail",
        20,
    )
    asked = [received.body["messages"][-1]["content"] for received in upstream.requests_for(model)]
    assert asked == ["Hi"] * 5 + ["Say OK."]
    for caller in (service, bob):
        assert ask(caller, model=model).status_code == answers
    assert len(upstream.requests_for(model)) == 6, "nobody is sent there"
    assert service.get("/health/ready").json()["status"] == "degraded"
    [probe] = routed.wait_for_usage(endpoint="check", provider_model=model)
    assert (probe["user_name"], probe["user_id"], probe["status"]) == (
        "native_api",
        None,
        "upstream_error",
    )
