"""Hooks such as a site has: some that work, and some that the setting HOOKS refuses."""

from __future__ import annotations

from typing import Any

from native_api.exceptions import InvalidRequest, NativeError
from native_api.hooks import Call, CallHooks


class Shouting(CallHooks):
    """Changes requests, replies and chunks."""

    async def before_call(self, call: Call) -> None:
        for message in call.body.get("messages") or ():
            message["content"] = message["content"].replace("quiet", "loud")

    async def after_call(self, call: Call, reply: dict[str, Any]) -> None:
        if call.operation == "chat":
            message = reply["choices"][0]["message"]
            message["content"] = message["content"].upper()

    async def on_chunk(self, call: Call, chunk: dict[str, Any]) -> None:
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                choice["delta"]["content"] = choice["delta"]["content"].upper()


class Guarding:
    """Refuses a word, and replaces errors. It is no subclass of CallHooks."""

    async def before_call(self, call: Call) -> None:
        call.metadata["team"] = "search"
        if "forbidden" in str(call.body):
            raise InvalidRequest("This word is not for models.", code="forbidden_word")
        if "crash" in str(call.body):
            raise RuntimeError("a-value-that-nobody-may-see")

    async def on_error(self, call: Call, error: Exception) -> NativeError | None:
        call.metadata["failed"] = True
        if "teapot" in str(call.body):
            return InvalidRequest("I am a teapot.", code="teapot")
        return None


class NeedsArguments(CallHooks):
    def __init__(self, team: str) -> None:
        self.team = team

    async def before_call(self, call: Call) -> None: ...


class Synchronous(CallHooks):
    def before_call(self, call: Call) -> None:  # type: ignore[override]
        ...


class TakesTooLittle(CallHooks):
    async def after_call(self, call: Call) -> None:  # type: ignore[override]
        ...


class HasTwoFaults(CallHooks):
    def before_call(self, call: Call) -> None:  # type: ignore[override]
        ...

    def after_call(self, call: Call) -> None:  # type: ignore[override]
        ...


class Misspelled(CallHooks):
    async def before_request(self, call: Call) -> None: ...


class Failing(CallHooks):
    def __init__(self) -> None:
        raise LookupError("a-value-that-nobody-may-see")

    async def before_call(self, call: Call) -> None: ...
