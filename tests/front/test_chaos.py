"""Bad days: three providers that fail in every way there is, two server processes that share a
cache, 2,000 calls.

What must hold, whatever happens: every call ends in a right answer or a right error, no answer is
made of two targets' words, no connection to a provider is left open, and each call has one record
that counts the requests the providers saw for it. Which request fails, and how, is drawn from
`SEED`; what the circuits make of it depends on the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.front.faulty_providers import (
    COMPLETE,
    PIECES,
    SEED,
    STREAMED,
    Provider,
    goes_down_now_and_then,
)
from tests.scripted_provider import (
    running_upstream,
)
from tests.servers import Site, running_site, until

CHAT = "chat/completions"
CALLS = 2000
AT_ONCE = 64
LEAVING = 0.05
NAMES = ("a", "b", "c")
REDIS = "redis://127.0.0.1:6379/2"


@pytest.fixture
def providers() -> Iterator[list[Provider]]:
    with contextlib.ExitStack() as stack:
        made = [Provider(name, stack.enter_context(running_upstream())) for name in NAMES]
        for provider in made:
            provider.server.script("m", provider.answer)
        yield made


# --- the sites -----------------------------------------------------------------------------------


def settings(providers: list[Provider]) -> dict[str, Any]:
    known = {
        each.name: {"DIALECT": "openai", "BASE_URL": each.server.url, "API_KEY": "k"}
        for each in providers
    }
    return {
        "PROVIDERS": known,
        "MODELS": {
            "chaos": {
                "TARGETS": [{"PROVIDER": name, "MODEL": "m"} for name in NAMES],
                "STRATEGY": "weighted",
            }
        },
        "TIMEOUTS": {"CONNECT": 5, "FIRST_TOKEN": 5, "BETWEEN_TOKENS": 4, "TOTAL": 15},
        "ATTEMPTS": {"RETRIES": 1, "MAX": 6, "START_WITHIN": 60},
        "THROTTLE_RATES": {"caller": "10000000/m"},
    }


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[dict[str, str]]:
    """One that both processes share: Redis where there is one, else files."""
    client = redis.Redis.from_url(REDIS)
    prefix = f"chaos-{uuid.uuid4().hex}"
    try:
        client.ping()
    except redis.ConnectionError:
        client.close()
        yield {"CACHE_URL": str(tmp_path / "cache")}
        return
    yield {"CACHE_URL": REDIS, "CACHE_PREFIX": prefix}
    for name in client.scan_iter(f"{prefix}*"):
        client.delete(name)
    client.close()


# --- the calls -----------------------------------------------------------------------------------


@dataclass
class Call:
    """One call as its client sees it."""

    number: int
    nonce: str
    stream: bool
    leaves: bool
    status: int = 0
    headers: Any = None
    text: str = ""

    async def make(self, client: httpx.AsyncClient, url: str) -> None:
        body = {
            "model": "chaos",
            "stream": self.stream,
            "messages": [{"role": "user", "content": self.nonce}],
        }
        async with client.stream(
            "POST", url, json=body, headers={"x-request-id": self.nonce}
        ) as response:
            self.status, self.headers = response.status_code, response.headers
            async for piece in response.aiter_text():
                self.text += piece
                if self.leaves:
                    return


def calls() -> list[Call]:
    chance = random.Random(SEED)
    return [
        Call(number, f"n{number}", number % 2 == 0, number % 2 == 0 and chance.random() < LEAVING)
        for number in range(CALLS)
    ]


async def make_all(made: list[Call], sites: list[Site]) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    # Shorter than uvicorn's five seconds: else a call may meet a connection that is just being
    # closed.
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=AT_ONCE, keepalive_expiry=2
    )
    async with httpx.AsyncClient(
        headers=sites[0].headers, timeout=60, trust_env=False, limits=limits
    ) as client:

        async def one(call: Call) -> None:
            async with places:
                await call.make(
                    client, f"{sites[call.number % len(sites)].url}/v1/chat/completions"
                )

        await asyncio.gather(*(one(call) for call in made))


# --- what must hold ------------------------------------------------------------------------------


def said(call: Call) -> tuple[str, dict[str, Any] | None, bool]:
    """What the answer says, its error, and whether it ended well."""
    if not call.stream:
        body = json.loads(call.text)
        return (
            body["choices"][0]["message"]["content"],
            None,
            body["choices"][0]["finish_reason"] == "stop",
        )
    events = [
        line.removeprefix("data: ") for line in call.text.split("\n\n") if line.startswith("data: ")
    ]
    parsed = [json.loads(each) for each in events if each != "[DONE]"]
    text = "".join(
        choice["delta"].get("content") or ""
        for each in parsed
        for choice in each.get("choices", ())
    )
    error = next((each["error"] for each in parsed if "error" in each), None)
    return text, error, events[-1:] == ["[DONE]"]


def check_answer(call: Call) -> str:
    """The provider whose answer it is. Fails where it is not the answer of one, whole or honestly
    broken."""
    text, error, ended_well = said(call)
    name = text[:1]
    expected = "".join(f"{name}:{call.nonce}:{number} " for number in range(PIECES))
    assert name in NAMES
    assert call.headers["x-native-provider"] == name
    if ended_well:
        assert (text, error) == (expected, None)
    elif not call.leaves:
        assert text
        assert expected.startswith(text)
        assert error is not None
        assert error["type"] in ("upstream_error", "upstream_timeout")
        assert error["provider"] == name
    return name


def check_error(call: Call) -> None:
    error = json.loads(call.text)["error"]
    codes = {
        429: {"rate_limit_exceeded"},
        502: {"provider_error", "connection_failed", "connection_lost"},
    }
    codes |= {503: {"no_target_available"}, 504: {"upstream_timeout", "connect_timeout"}}
    assert error["code"] in codes[call.status], call.text
    assert ("provider" in error) == (call.status != 503)
    assert call.status not in (429, 503) or int(call.headers["retry-after"]) <= 300


def check_record(call: Call, record: Any, seen: int) -> None:
    assert record["attempts"] == seen == int(call.headers["x-native-attempts"]), call
    if call.status == 200:
        text, error, ended_well = said(call)
        allowed = (
            {"ok"}
            if ended_well
            else {"upstream_error"}
            if error
            else {"ok", "client_closed", "upstream_error"}
        )
        assert record["status"] in allowed, call
        assert record["provider"] == text[:1]
        assert record["total_tokens"] > 0
    else:
        assert record["status"] == ("error" if call.status == 503 else "upstream_error")
        assert record["error_code"] == json.loads(call.text)["error"]["code"]


@pytest.fixture
def short_collections() -> Iterator[None]:
    """The providers answer from this process. With all that other tests have left in it, collecting
    its garbage takes so long that every call under way is timed out, and all circuits open."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("short_collections")
def test_nothing_is_mixed_lost_or_left_open_on_a_bad_day(
    providers: list[Provider], template: tuple[Path, str], cache: dict[str, str], tmp_path: Path
) -> None:
    folder, key = template
    native_api, more = settings(providers), {"LOG_LEVEL": "WARNING", "COOL_DOWN": "1", **cache}
    made = calls()
    with contextlib.ExitStack() as stack:
        sites = [
            stack.enter_context(running_site("uvicorn", tmp_path, folder, key, native_api, **more))
            for _ in range(2)
        ]
        with goes_down_now_and_then(providers[2]) as refusals:
            asyncio.run(make_all(made, sites))
        until(
            lambda: not any(provider.busy for provider in providers),
            "the providers to be left alone",
        )
        until(lambda: len(sites[0].usage(endpoint=CHAT)) >= CALLS, "the records")
    until(
        lambda: not any(provider.server.open_connections for provider in providers),
        "the connections to be closed",
    )

    records = {record["request_id"]: record for record in sites[0].usage(endpoint=CHAT)}
    assert len(records) == len(sites[0].usage(endpoint=CHAT)) == CALLS
    for call in made:
        check_answer(call) if call.status == 200 else check_error(call)
        check_record(
            call, records[call.nonce], sum(provider.asked[call.nonce] for provider in providers)
        )
    check_that_the_day_was_bad(made, providers, refusals, "".join(site.log() for site in sites))


def check_that_the_day_was_bad(
    made: list[Call], providers: list[Provider], refusals: list[int], log: str
) -> None:
    """Else it would show nothing. Yet most calls were answered: that is what routing is for."""
    behaved = sum((provider.behaved for provider in providers), Counter[str]())
    assert {behaviour.__name__ for behaviour in (*COMPLETE, *STREAMED)} <= behaved.keys()
    assert len(refusals) >= 2
    assert "Circuit of c/m opened" in log
    assert "Traceback" not in log
    whole_answers = sum(call.status == 200 and said(call)[2] for call in made)
    assert whole_answers > CALLS * 0.8, Counter(call.status for call in made)
