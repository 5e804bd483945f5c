"""Shows that hostile callers change nothing for honest ones: their answers, their records, their
budget, their latency.

    python -m benchmarks.soak [--seconds 600] [--baseline 60]

One real server process and one scripted provider. Two honest callers, one complete and one
streamed, ask five times a second each: first alone, then beside hostile callers with a key and a
small budget of their own, and beside clients without any key. Hostile callers take their attacks in
turn; one provokes faults of the provider, so that its own circuit does not keep the other's attacks
out.

Exits with 1 if an honest answer was wrong, a record is missing, a budget is not the sum of its
records, a hostile caller spent more than its budget, or the median latency of honest calls more
than doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import itertools
import json
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gateway import resident_megabytes
from tests.scripted_provider import HELLO, Exchange, Upstream, completion, running_upstream
from tests.servers import Site, environment_for, manage, populate, running_site, until

HONEST_PAUSE = 0.2
HOSTILE_PAUSE = 0.15
BUDGET = Decimal("0.10")
HOSTILE = ("mallory", "trudy")
PRICE = {"INPUT": "10", "OUTPUT": "100"}
PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
INNER = "http://169.254.169.254/latest/meta-data"

STATUSES = (401, 402, 403, 405, 411, 415, 431, 451, 500, 503)

Attack = dict[str, Any] | bytes


# --- the provider --------------------------------------------------------------------------------


async def obeys(exchange: Exchange) -> None:
    """Does what the last message says: `!status 415`, `!gzip`, `!nested`, `!endless`; else it
    answers."""
    words = _last_words(exchange.received.body).split()
    if words[:1] == ["!status"]:
        await exchange.json({"error": {"message": "no"}}, int(words[1]))
    elif words[:1] == ["!gzip"]:
        await exchange.whole(
            gzip.compress(gzip.compress(bytes(20_000_000))), 200, {"content-encoding": "gzip, gzip"}
        )
    elif words[:1] == ["!nested"]:
        await exchange.whole(
            b'{"a":' * 1000 + b"1" + b"}" * 1000, 200, {"content-type": "application/json"}
        )
    elif exchange.received.body.get("stream"):
        await exchange.event_stream()
        for piece in HELLO:
            await exchange.piece(piece)
        await exchange.end()
    else:
        await exchange.json(completion())


def _last_words(body: Any) -> str:
    messages = body.get("messages") if isinstance(body, dict) else None
    content = messages[-1].get("content") if messages else ""
    return content if isinstance(content, str) else ""


# --- what hostile callers send -------------------------------------------------------------------


def says(words: str, **more: Any) -> dict[str, Any]:
    return {"model": "up/m", "messages": [{"role": "user", "content": words}], **more}


def option(**options: Any) -> dict[str, Any]:
    return says("Hi", max_tokens=1, provider_options={"up": options})


def schema(wire: str, adapted: dict[str, Any]) -> dict[str, Any]:
    return {
        **says(
            "Hi",
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": adapted},
            },
        ),
        "model": f"{wire}/m",
    }


def many_parts() -> dict[str, Any]:
    return {
        "allOf": [
            {"properties": {f"p{number}": {"type": "string"}}, "required": [f"p{number}"]}
            for number in range(4000)
        ]
    }


def many_copies() -> dict[str, Any]:
    big = {
        "type": "object",
        "properties": {
            f"p{number}": {"type": "string", "description": "d" * 100} for number in range(5000)
        },
    }
    uses = {
        f"u{number}": {"$ref": "#/$defs/big", "description": str(number)} for number in range(200)
    }
    return {"type": "object", "properties": uses, "$defs": {"big": big}}


def body(inner: bytes) -> bytes:
    return b'{"model":"up/m","messages":[{"role":"user","content":"Hi"}],' + inner + b"}"


PROVOCATIONS: dict[str, Callable[[int], Attack]] = {
    **{
        f"status {status}": lambda _, status=status: says(f"!status {status}")
        for status in STATUSES
    },
    "compressed twice": lambda _: says("!gzip"),
    "nested reply": lambda _: says("!nested"),
}
"""What the provider answers with a fault: mallory's."""

ATTACKS: dict[str, Callable[[int], Attack]] = {
    "no limit": lambda _: option(max_tokens=None),
    "limit as text": lambda _: option(max_completion_tokens="100000"),
    "no usage": lambda _: option(stream_options=None),
    "background": lambda _: option(background=True),
    "another model": lambda _: option(model="dear"),
    "a file of others": lambda _: option(messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]),
    "an inner address": lambda _: option(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": INNER}}]}]),
    "a long prompt by options": lambda _: option(messages=[{"role": "user", "content": "word " * 300_000}]),
    "a made-up model": lambda number: {"model": f"up/made-up-{number}", "messages": [{"role": "user", "content": "!status 404"}]},
    "a made-up route": lambda number: {"model": f"made-up-{number}", "messages": HI},
    **{f"a quadratic schema to {wire}": lambda _, wire=wire: schema(wire, many_parts()) for wire in ("up", "claude", "gem")},
    **{f"a schema of copies to {wire}": lambda _, wire=wire: schema(wire, many_copies()) for wire in ("up", "claude", "gem")},
    "six million lists": lambda _: body(b'"metadata":[' + b"[]," * 6_000_000 + b"[]]"),
    "many parts": lambda _: body(b'"stop":[' + b'{"type":"text"},' * 700_000 + b"1]"),
    "many fallbacks": lambda _: body(b'"fallbacks":[' + b'"up/a",' * 200_000 + b'"up/a"]'),
    "backslashes": lambda _: body(b'"user":"' + b'\\\\\\"' * 2_000_000 + b'"'),
    "many keys": lambda _: body(b'"logit_bias":{' + b",".join(b'"%d":1' % number for number in range(1_000_000)) + b"}"),
    "a forged field": lambda _: {**says("Hi"), "x\r\nset-cookie: a=b": 1},
    "nothing": lambda _: b"",
}  # fmt: skip
"""All else: trudy's."""


def in_turn(attacks: dict[str, Callable[[int], Attack]]) -> Iterator[tuple[str, bytes]]:
    """One after the other, for ever; the ones that do not vary are encoded once."""
    made: dict[str, bytes] = {}
    for number in itertools.count():
        name = list(attacks)[number % len(attacks)]
        if name not in made or "made-up" in name:
            attack = attacks[name](number)
            made[name] = attack if isinstance(attack, bytes) else json.dumps(attack).encode()
        yield name, made[name]


# --- callers -------------------------------------------------------------------------------------


class Honest:
    """A caller that asks at a steady pace and looks at each answer."""

    def __init__(self, site: Site, key: str, stream: bool) -> None:
        self.url, self.key, self.stream = f"{site.url}{PATH}", key, stream
        self.sent = 0
        self.wrong: list[str] = []

    async def run(self, seconds: float) -> list[float]:
        """Milliseconds of each answer."""
        latencies: list[float] = []
        ends = time.monotonic() + seconds
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(timeout=30, trust_env=False, headers=headers) as client:
            while time.monotonic() < ends:
                began = time.perf_counter()
                await self._ask(client)
                latencies.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(HONEST_PAUSE)
        return latencies

    async def _ask(self, client: httpx.AsyncClient) -> None:
        self.sent += 1
        answer = await client.post(
            self.url,
            json={"model": "up/m", "messages": HI, "stream": self.stream, "max_tokens": 20},
        )
        is_right = (
            "data: [DONE]" in answer.text and '"Hello"' in answer.text
            if self.stream
            else "Hello there" in answer.text
        )
        if answer.status_code != 200 or not is_right:
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")


async def be_hostile(
    site: Site,
    key: str,
    attacks: dict[str, Callable[[int], Attack]],
    seconds: float,
    seen: Counter[str],
) -> None:
    ends = time.monotonic() + seconds
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        for name, content in in_turn(attacks):
            if time.monotonic() > ends:
                return
            try:
                answer = await client.post(f"{site.url}{PATH}", headers=headers, content=content)
                seen[f"{name}: {answer.status_code}"] += 1
            except httpx.HTTPError as error:
                seen[f"{name}: {type(error).__name__}"] += 1
            await asyncio.sleep(HOSTILE_PAUSE)


async def leave_early(site: Site, key: str, seconds: float) -> None:
    """Streams that nobody reads to their end."""
    ends = time.monotonic() + seconds
    async with httpx.AsyncClient(
        timeout=30, trust_env=False, headers={"authorization": f"Bearer {key}"}
    ) as client:
        while time.monotonic() < ends:
            async with client.stream(
                "POST", f"{site.url}{PATH}", json={**says("Hi"), "stream": True}
            ):
                pass
            await asyncio.sleep(1)


async def hold_connections(site: Site, seconds: float) -> None:
    """Twenty-five clients without a key announce 20 MB and send them slowly."""
    ends = time.monotonic() + seconds
    host, port = site.url.removeprefix("http://").partition("/")[0].split(":")
    head = f"POST /native{PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n".encode()
    while time.monotonic() < ends:
        sockets = [socket.create_connection((host, int(port))) for _ in range(25)]
        for each in sockets:
            each.sendall(head + b"x" * 60_000)
        await asyncio.sleep(5)
        for each in sockets:
            each.close()


# --- the run -------------------------------------------------------------------------------------


def settings(upstream: Upstream) -> dict[str, Any]:
    provider = {"BASE_URL": upstream.url, "API_KEY": "sk-soak", "AUTH": "bearer", "PRICE": PRICE}
    dialects = {"up": "openai", "claude": "anthropic", "gem": "gemini"}
    return {
        "PROVIDERS": {name: {**provider, "DIALECT": dialect} for name, dialect in dialects.items()},
        "LIMITS": [
            *(
                {
                    "SUBJECT": f"user:{name}",
                    "METRIC": "cost",
                    "AMOUNT": str(BUDGET),
                    "WINDOW": "month",
                }
                for name in HOSTILE
            ),
            {"SUBJECT": "user:alice", "METRIC": "cost", "AMOUNT": "10000", "WINDOW": "month"},
        ],
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
        "TIMEOUTS": {"CONNECT": 2, "FIRST_TOKEN": 20, "BETWEEN_TOKENS": 20, "TOTAL": 30},
    }


def add_user(environment: dict[str, str], name: str) -> str:
    code = f"from django.contrib.auth.models import User; User.objects.create_user({name!r})"
    manage(environment, "shell", "-c", code)
    return manage(environment, "native_key", "create", name, "--name", "attacks")


def show(name: str, latencies: list[float]) -> float:
    ordered = sorted(latencies)
    median, late = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    print(
        f"{name:40} {len(ordered):6} calls   median {median:8.2f} ms   p99 {late:8.2f} ms   longest {ordered[-1]:8.2f} ms"
    )
    return median


async def soak(
    site: Site, keys: dict[str, str], upstream: Upstream, baseline: float, seconds: float
) -> list[str]:
    honest = [Honest(site, site.key, stream=False), Honest(site, site.key, stream=True)]
    before = await asyncio.gather(*(caller.run(baseline) for caller in honest))
    memory = resident_megabytes(site.process.pid)
    seen: Counter[str] = Counter()
    forgetting = asyncio.create_task(forget(upstream))
    *during, _, _, _, _ = await asyncio.gather(
        *(caller.run(seconds) for caller in honest),
        be_hostile(site, keys["mallory"], PROVOCATIONS, seconds, seen),
        be_hostile(site, keys["trudy"], ATTACKS, seconds, seen),
        leave_early(site, keys["trudy"], seconds),
        hold_connections(site, seconds),
    )
    forgetting.cancel()
    faults = [f"an honest answer was wrong: {wrong}" for caller in honest for wrong in caller.wrong]
    for kind, alone, beside in zip(("complete", "streamed"), before, during, strict=True):
        if show(f"{kind}, beside hostile callers", beside or []) > 2 * show(
            f"{kind}, alone", alone
        ):
            faults.append(f"the median latency of {kind} calls more than doubled")
    print(
        f"{'resident memory':40} {memory:.0f} MB before, {resident_megabytes(site.process.pid):.0f} MB after"
    )
    for name, count in sorted(seen.items()):
        print(f"  {name:40} {count:6}")
    return faults + check_records(site, sum(caller.sent for caller in honest))


async def forget(upstream: Upstream) -> None:
    """The scripted provider remembers every request; here nobody asks."""
    while True:
        await asyncio.sleep(1)
        upstream.requests.clear()


def check_records(site: Site, sent: int) -> list[str]:
    faults = []
    rows = until(
        lambda: (found := site.usage(user_name="alice")) and len(found) >= sent and found,
        "the records of honest calls",
        30,
    )
    if len(rows) != sent or any(
        (row["status"], row["prompt_tokens"], row["completion_tokens"]) != ("ok", 9, 3)
        for row in rows
    ):
        faults.append(f"{sent} honest calls left {len(rows)} records, not all of them right")
    budgets = {row["subject"]: row for row in site.rows("SELECT * FROM native_api_budget")}
    for name, most in (("user:alice", None), *((f"user:{name}", BUDGET) for name in HOSTILE)):
        budget, spent = budgets[name], units_of_records(site, name.removeprefix("user:"))
        print(
            f"{f'spent by {name}':40} {spent / 10**12:.6f} USD, reserved {budget['reserved']}, lost {budget['lost']}"
        )
        if budget["used"] != spent or budget["reserved"] or budget["lost"]:
            faults.append(f"the budget of {name} is {dict(budget)}, its records cost {spent}")
        if most is not None and spent > most * 10**12:
            faults.append(f"{name} spent {spent / 10**12} USD of {most}")
    return faults


def units_of_records(site: Site, name: str) -> int:
    """What a caller's records cost, in units of 10^-12 USD."""
    return sum(int(Decimal(str(row["cost"] or 0)) * 10**12) for row in site.usage(user_name=name))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--baseline", type=float, default=60)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, running_upstream() as upstream:
        folder = Path(name)
        upstream.default_script = obeys
        environment = environment_for(folder, settings(upstream))
        key = populate(environment)
        keys = {name: add_user(environment, name) for name in HOSTILE}
        with running_site(
            "uvicorn", folder, folder, key, settings(upstream), LOG_LEVEL="WARNING"
        ) as site:
            faults = asyncio.run(soak(site, keys, upstream, chosen.baseline, chosen.seconds))
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
