"""A process that routes calls to scripted providers over real HTTP. Pauses are noted, not slept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from native_api.exceptions import (
    NativeError,
)
from native_api.routing import attempts
from native_api.routing.call_plan import CallPlan, reserve_nothing
from native_api.routing.health_states import Incident
from native_api.routing.pool import TargetPool
from native_api.routing.routed_stream import RoutedStream
from native_api.types import ChatRequest, Provider, Quirks, Target, Timeouts
from native_api.upstream import transport
from native_api.upstream.attempt_log import AttemptLog
from tests.routing.target_pools import Clock, pool_with, route_of
from tests.scripted_provider import (
    Script,
    Upstream,
    event,
    hello,
    says,
    streams,
)

HI: ChatRequest = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
QUICK = Timeouts(connect=1, first_token=0.2, between_tokens=0.2, total=0.4)
BREAKING = Timeouts(between_tokens=0.5)


class Site:
    """One process's client, with targets at the scripted provider by model name."""

    def __init__(self, server: Upstream) -> None:
        self.server = server
        self.clock = Clock()
        self.pool: TargetPool = pool_with(self.clock)
        self.attempts = AttemptLog()
        self.models: list[str] = []

    def target(self, model: str, *scripts: Script, **options: Any) -> Target:
        """A target that follows one script per request, and repeats the last one."""
        remaining = list(scripts or (hello,))

        async def script(exchange: Any) -> None:
            await (remaining.pop(0) if len(remaining) > 1 else remaining[0])(exchange)

        self.server.script(model, script)
        self.server.requests[:] = [
            received for received in self.server.requests if received.model != model
        ]
        self.models.append(model)
        quirks = options.pop("quirks", Quirks())
        timeouts = options.pop("timeouts", Timeouts())
        url = options.pop("url", self.server.url)
        provider = Provider(
            f"of-{model}", "openai", url, timeouts=timeouts, quirks=quirks, identity=f"of-{model}@1"
        )
        return Target(provider, model, **options)

    def dead(self, model: str) -> Target:
        return self.target(model, url="http://127.0.0.1:9/v1")

    @property
    def request_counts(self) -> dict[str, int]:
        """Requests that each provider received."""
        return {model: len(self.server.requests_for(model)) for model in self.models}

    def call(self, *targets: Target, stream: bool = False, chat: Any = None, **plan: Any) -> str:
        return asyncio.run(self._closing(self.acall(*targets, stream=stream, chat=chat, **plan)))

    async def acall(
        self, *targets: Target, stream: bool = False, chat: Any = None, **plan: Any
    ) -> str:
        """The text of the reply."""
        self.attempts = AttemptLog()
        sent = {**HI, **(chat or {}), **({"stream": True} if stream else {})}
        reserve = plan.pop("reserve", reserve_nothing)
        plan = CallPlan(route_of(*targets, **plan.pop("route", {})), **plan)
        if not stream:
            reply = await attempts.complete(sent, plan, self.attempts, self.pool, reserve)
            return str(reply.reply["choices"][0]["message"]["content"])
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

    def call_error(self, *targets: Target, **options: Any) -> Any:
        with pytest.raises(NativeError) as caught:
            self.call(*targets, **options)
        assert self.pool.concurrency.in_use == {}
        return caught.value


async def text_of(
    stream: RoutedStream,
    pieces: list[str] | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> str:
    """The whole text. `pieces` also has it if the stream breaks."""
    pieces = [] if pieces is None else pieces
    async for batch in stream:
        pieces += [chunk["choices"][0]["delta"].get("content") or "" for chunk in batch]
        after_each()
    return "".join(pieces)


both = pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
ERROR = {"error": {"message": "out of sorts"}}
HTML = says(b"<html>oops</html>", 500, {"content-type": "text/html"})
TOO_LONG = says({"error": {"message": "too long", "code": "context_length_exceeded"}}, 400)
ERROR_FIRST = streams(
    event({"role": "assistant", "content": ""}), b'data: {"error": {"message": "overloaded"}}\n\n'
)


def begins_then(*rest: bytes | Script) -> Script:
    return streams(event({"role": "assistant", "content": "half"}), *rest)


def set_incident(
    site: Site, target: Target, kind: Any = "circuit_open", seconds: float = 30.0
) -> None:
    site.pool.health.apply({target.key: Incident(kind, site.clock.now + seconds)})
