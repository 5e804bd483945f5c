"""What a site's hooks subclass and use. The setting `HOOKS` lists the classes; `gateway.hooks` runs
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from native_api.background import executors
from native_api.types import Caller

__all__ = ["Call", "CallHooks", "run_in_thread"]

T = TypeVar("T")

THREAD_SECONDS: Final = 30.0

_threads: Final = executors.foreign.lane(8)


async def run_in_thread(function: Callable[..., T], *args: Any) -> T:
    """The result of a synchronous function, which may use the ORM: it runs in a worker thread, with
    database connections looked after as Django does for requests. Raises TimeoutError after 30
    seconds."""
    return await _threads.run(THREAD_SECONDS, function, *args)


@dataclass(slots=True)
class Call:
    """One call of a model, as its hooks see it. Hooks may change `body` before the call, and
    `metadata` and `state` at any time; the rest is to be read."""

    request_id: str
    """The id in the response, the log and the record."""
    caller: Caller
    """Whom the call counts for."""
    operation: str
    """`chat`, `embeddings`, or `count_tokens`."""
    endpoint: str
    """The path below `v1/`, as usage records name it; the same for calls of Python code."""
    stream: bool
    """Whether the reply is streamed. Hooks cannot change that."""
    wire: str
    """`openai_chat` if `body` is what a client of this wire wrote, which goes on to providers that
    speak it too; "" if it is the unified request, as for clients of Responses and Messages. Both
    have the words of OpenAI."""
    body: dict[str, Any] = field(repr=False)
    """The request: a copy that hooks may change, or replace by another dictionary."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Added to the metadata of the call's usage record. It wins over the client's of the same name.
    Values are kept as text; the bounds are those of a request's metadata."""
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """For hooks to keep what they need later in the call. It is not recorded."""


class CallHooks:
    """A site's own code around every call. Override any of the methods, with `async def`.

    One instance serves all calls of a process, also at the same time: what belongs to a call is
    kept in `call.state`. A method that raises an error of `native_api.exceptions` refuses the call
    with it. Any other exception is logged with the name of the hook and answered 500.
    """

    async def before_call(self, call: Call) -> None:
        """Before access and limits are checked. What it makes of `call.body` is checked, reserved,
        sent, priced and recorded."""

    async def after_call(self, call: Call, reply: dict[str, Any]) -> dict[str, Any] | None:
        """A complete reply is about to be returned. Change it in place, or return another one; None
        keeps it. Tokens and cost are those of the provider's reply."""

    async def on_chunk(self, call: Call, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chunk of a stream is about to be sent. Change it in place, or return another one; None
        keeps it. To withhold text, send the chunk with less or empty content."""

    async def on_error(self, call: Call, error: Exception) -> Exception | None:
        """The call ends with this error, which may be a failure of the gateway's own. Return or
        raise another error of `native_api.exceptions` to answer instead; None keeps it. The record
        says what happened, not what is answered. Not called if the client left."""
