"""Calls with hooks of a site around them, for the tests of hooks."""

from __future__ import annotations

from typing import Any

from django.test import override_settings

from native_api import background, gateway
from native_api.hooks import Call, CallHooks
from native_api.types import Caller
from tests.scripted_provider import (
    Upstream,
)

SECRET = "a-value-that-nobody-may-see"
A_TASK = Caller(user_name="a task")
SEEN: list[Any] = []
"""What hooks of a test have seen, in order."""


def site(*hooks: Any, **settings: Any) -> Any:
    return override_settings(
        NATIVE_API={"PROVIDERS": {"echo": {}}, "HOOKS": list(hooks), **settings}
    )


def scripted(provider: Upstream, *hooks: Any, **settings: Any) -> Any:
    up = {
        "DIALECT": "openai",
        "BASE_URL": provider.url,
        "API_KEY": "k",
        "PRICE": {"INPUT": "1", "OUTPUT": "1"},
    }
    return site(*hooks, PROVIDERS={"up": up}, ATTEMPTS={"RETRIES": 0}, **settings)


def chat(text: str = "Hi there", model: str = "echo/any", **fields: Any) -> Any:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def complete(request: Any, caller: Caller = A_TASK) -> Any:
    return gateway.complete_sync(request, caller, "the-request").completion


def read(request: Any, caller: Caller = A_TASK) -> list[Any]:
    """The chunks of a stream, as they are read to its end."""

    async def run() -> list[Any]:
        stream = await gateway.stream(request, caller)
        try:
            return [chunk async for batch in stream for chunk in batch]
        finally:
            await stream.aclose()

    return background.run(run())


def text_of(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


def hook(**methods: Any) -> type[CallHooks]:
    """A class of hooks with these methods."""
    return type("Hook", (CallHooks,), methods)


def words_of(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def noting(name: str) -> type[CallHooks]:
    async def before_call(self: Any, call: Call) -> None:
        SEEN.append(f"{name} before")

    async def after_call(self: Any, call: Call, reply: Any) -> None:
        SEEN.append(f"{name} after")

    async def on_chunk(self: Any, call: Call, chunk: Any) -> None:
        SEEN.append(f"{name} chunk")

    async def on_error(self: Any, call: Call, error: Exception) -> None:
        SEEN.append(f"{name} error")

    return hook(
        before_call=before_call, after_call=after_call, on_chunk=on_chunk, on_error=on_error
    )
