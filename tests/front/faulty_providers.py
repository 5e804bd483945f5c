"""Scripted providers that fail in every way, for the test of a bad day."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from tests.scripted_provider import (
    DONE,
    Exchange,
    Upstream,
    completion,
    cuts,
    event,
    pauses,
    stalls,
)

SEED = "a bad day"
FAILING = 0.25
PIECES = 6


@dataclass
class Provider:
    """A scripted one, which notes what it was asked and how it behaved."""

    name: str
    server: Upstream
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    behaved: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    is_down: bool = False

    async def answer(self, exchange: Exchange) -> None:
        nonce = exchange.received.body["messages"][-1]["content"]
        self.asked[nonce] += 1
        chance = random.Random(f"{SEED}:{self.name}:{nonce}:{self.asked[nonce]}")
        behaviours = STREAMED if exchange.received.body.get("stream") else COMPLETE
        behaviour = (
            chance.choice(behaviours) if chance.random() < FAILING else FINE[behaviours is STREAMED]
        )
        behaviour = breaks_down if self.is_down else behaviour
        self.behaved[behaviour.__name__] += 1
        self.busy += 1
        try:
            await behaviour(
                exchange, [f"{self.name}:{nonce}:{number} " for number in range(PIECES)]
            )
        finally:
            self.busy -= 1


Behaviour = Callable[[Exchange, list[str]], Awaitable[None]]


async def whole(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.json(completion("".join(pieces)))


async def stream(exchange: Exchange, pieces: list[str]) -> None:
    await begin(exchange, pieces)
    for piece in pieces[1:]:
        await exchange.piece(event({"content": piece}))
        await pauses(0.001)(exchange)
    await exchange.piece(
        event({}, "stop")
        + event(usage={"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15})
        + DONE
    )
    await exchange.end()


async def begin(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.event_stream()
    await exchange.piece(event({"role": "assistant", "content": pieces[0]}))
    await pauses(0.01)(exchange)


async def resets(exchange: Exchange, pieces: list[str]) -> None:
    await cuts(exchange)


async def hangs(exchange: Exchange, pieces: list[str]) -> None:
    await stalls(exchange)


async def is_busy(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.json({"error": {"message": "slow down"}}, 429, {"retry-after": "99999999"})


async def breaks_down(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.whole(b"<html>Internal Server Error</html>", 500, {"content-type": "text/html"})


async def says_error(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.json({"error": {"message": "out of memory"}})


async def streams_error(exchange: Exchange, pieces: list[str]) -> None:
    await exchange.event_stream()
    await exchange.piece(
        event({"role": "assistant", "content": ""})
        + b'data: {"error": {"message": "overloaded"}}\n\n'
    )
    await exchange.end()


async def dies_in_the_body(exchange: Exchange, pieces: list[str]) -> None:
    body = json.dumps(completion("".join(pieces))).encode()
    await exchange.head(200, {"content-type": "application/json", "content-length": str(len(body))})
    await exchange.send(body[: len(body) // 2])
    await cuts(exchange)


async def dies_after_the_first_chunk(exchange: Exchange, pieces: list[str]) -> None:
    await begin(exchange, pieces)
    await cuts(exchange)


async def hangs_in_mid_stream(exchange: Exchange, pieces: list[str]) -> None:
    await begin(exchange, pieces)
    await stalls(exchange)


async def drips(exchange: Exchange, pieces: list[str]) -> None:
    """One byte a second."""
    await begin(exchange, pieces)
    for byte in event({"content": pieces[1]}):
        await exchange.piece(bytes([byte]))
        await pauses(1)(exchange)


ALWAYS = [resets, hangs, is_busy, breaks_down]
COMPLETE: list[Behaviour] = [*ALWAYS, says_error, dies_in_the_body]
STREAMED: list[Behaviour] = [
    *ALWAYS,
    streams_error,
    dies_after_the_first_chunk,
    hangs_in_mid_stream,
    drips,
]
FINE: dict[bool, Behaviour] = {False: whole, True: stream}


@contextlib.contextmanager
def goes_down_now_and_then(provider: Provider) -> Iterator[list[int]]:
    """For two seconds in every four: it refuses new connections, and on the old ones it breaks
    down. Yields how much it had been asked each time."""
    stop, refusals = threading.Event(), list[int]()

    def work() -> None:
        while not stop.wait(2.0):
            with provider.server.refusing_connections():
                provider.is_down = True
                refusals.append(provider.behaved.total())
                stop.wait(2.0)
                provider.is_down = False

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield refusals
    finally:
        stop.set()
        thread.join()
