"""Runs the site's hooks (`native_api.hooks`) around calls.

Rules:
1. Hooks run in the order of the setting for requests, and in reverse for replies, chunks and
   errors, as Django's middleware does.
2. Hooks change copies. What is counted, recorded or shared is never in their hands, so a hook
   cannot make a call free.
3. An error of ours that a hook raises is the call's error. Any other exception is logged with the
   hook's name and becomes a 500. If `on_error` fails, that is only logged: the call has its error.
4. If the client leaves, no hook runs any more.
5. A call pays only for hooks that are there: without hooks nothing is copied, and a method that no
   class overrides is never called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple

from native_api.exceptions import NativeError
from native_api.gateway.call_record import CallRecord
from native_api.gateway.hook_chain import Hook, current_chain
from native_api.hooks import Call
from native_api.inbound.request_serializer import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_LENGTH,
)
from native_api.logs import get_logger
from native_api.types import Caller, ClientBody, ForwardedEvent
from native_api.upstream.call_scopes import raise_if_cancelled

logger = get_logger("native_api.hooks")


class ChangedBatch(NamedTuple):
    """What hooks have made of a batch: the chunks to send, and the error that ends the stream after
    them. How many chunks arrive in one read is chance, so those before the error are not lost."""

    chunks: list[Any]
    error: Exception | None = None


class HookedCall:
    """One call and the hooks around it. Enter it while the call is made, and again while its stream
    is read: at the end `on_error` runs, and the metadata of the hooks goes to the record."""

    def __init__(self, call_record: CallRecord, caller: Caller) -> None:
        self._record, self._caller = call_record, caller
        self._chain = current_chain()
        self._call: Call | None = None

    async def before_call(
        self, body: Any, client_body: ClientBody | None
    ) -> tuple[Any, ClientBody | None]:
        """The bodies that go on: the unified request, and the client's own if there is one. Raises
        NativeError if a hook refuses the call."""
        if not any(self._chain):
            return body, client_body
        if client_body is not None and not client_body.is_unified_wire:
            return await self._before_foreign_call(client_body, body)
        written = body if client_body is None else client_body.body
        call = await self._run_before_call(written, client_body.wire if client_body else "")
        if call.body == written:
            return body, client_body
        unified: Any = (
            call.body if client_body is None else client_body.unify(call.body, client_body.omitted)
        )
        self._record.set_body(unified)
        return unified, client_body and client_body.replace(call.body, unified)

    async def _before_foreign_call(
        self, client_body: ClientBody, body: Any
    ) -> tuple[Any, ClientBody | None]:
        """The same for a client of an API whose words hooks do not know: they see the unified
        request and replies. What they change is translated for every target."""
        written = client_body.unified
        call = await self._run_before_call(written, "")
        if call.body != written:
            client_body.translate()  # What only this wire can say would be lost.
            self._record.set_body(call.body)
            return call.body, None
        if self._chain.after_call or self._chain.on_chunk:
            client_body.forwards_replies = False
        return body, client_body

    async def _run_before_call(self, written: Any, wire: str) -> Call:
        call = self._call = self._describe(written, wire)
        for hook in self._chain.before_call:
            _check_body(hook, call, await _run(hook, call))
        _keep_stream(call.body, written)
        return call

    def _describe(self, written: Mapping[str, Any], wire: str) -> Call:
        record = self._record
        return Call(
            record.request_id,
            self._caller,
            record.operation.name,
            record.endpoint,
            bool(written.get("stream")),
            wire,
            copy_json(written),
        )

    async def after_call(self, reply: Any) -> Any:
        """The reply to return for the provider's, which the record has counted."""
        return await self._pass(self._chain.after_call, reply)

    @property
    def change_batch(self) -> Callable[[list[Any]], Awaitable[ChangedBatch]] | None:
        """Makes the chunks to send of the provider's, which the record has counted. None if that
        would change nothing."""
        return self._on_chunks if self._chain.on_chunk else None

    async def _on_chunks(self, batch: list[Any]) -> ChangedBatch:
        changed: list[Any] = []
        try:
            for item in batch:  # no comprehension: an error leaves the chunks before it
                changed.append(await self._on_item(item))  # noqa: PERF401
        except Exception as error:
            return ChangedBatch(changed, error)
        return ChangedBatch(changed)

    async def _on_item(self, item: Any) -> Any:
        """A chunk, or a forwarded event: its text goes on if no hook changes what it says."""
        if not isinstance(item, ForwardedEvent):
            return await self._pass(self._chain.on_chunk, item)
        chunk = item.read()
        changed = await self._pass(self._chain.on_chunk, chunk)
        return item if changed == chunk else ForwardedEvent(changed, None)

    async def _pass(self, hooks: Sequence[Hook], value: Any) -> Any:
        if not hooks:
            return value
        value = copy_json(value)
        for hook in hooks:
            changed = await _run(hook, self._call, value)
            if changed is None:
                continue
            if not isinstance(changed, dict):
                problem = f"returned {type(changed).__name__}, not a dictionary or None"
                raise _failure(hook, TypeError(problem))
            value = changed
        return value

    # --- the end ---------------------------------------------------------------------------------

    async def __aenter__(self) -> HookedCall:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        call = self._call
        if call is None:
            return
        try:
            answer = await self._on_error(error) if isinstance(error, Exception) else None
        except BaseException:  # the client left, but the call had already failed
            self._record.add_metadata(_read_metadata(call))
            if error is not None:
                self._record.on_error(error)
            raise
        self._record.add_metadata(_read_metadata(call))
        if error is not None and answer is not None and answer is not error:
            self._record.on_error(error)
            raise answer from error

    async def _on_error(self, error: Exception) -> Exception:
        """The error to answer."""
        answer = error
        for hook in self._chain.on_error:
            answer = await self._replace_error(hook, answer) or answer
        if answer is not error and not isinstance(error, NativeError):
            logger.error("A call failed inside the gateway.", exc_info=error)
        return answer

    async def _replace_error(self, hook: Hook, error: Exception) -> Exception | None:
        try:
            other: Any = await hook.run(self._call, error)
        except NativeError as raised:
            return raised
        except (Exception, asyncio.CancelledError) as failure:
            raise_if_cancelled(failure)
            _log(hook, failure)
            return None
        if other is None or isinstance(other, NativeError):
            return other
        _log(hook, TypeError(f"returned {type(other).__name__}, which is not a NativeError"))
        return None


def _check_body(hook: Hook, call: Call, returned: Any) -> None:
    """What `before_call` returns would go nowhere, so it is a mistake."""
    if returned is not None:
        problem = f"returned {type(returned).__name__}; change call.body in place"
        raise _failure(hook, TypeError(problem))
    body: Any = call.body
    if not isinstance(body, dict):
        raise _failure(hook, TypeError(f"call.body is {type(body).__name__}, not a dictionary"))


def _keep_stream(body: dict[str, Any], original: Mapping[str, Any]) -> None:
    """What was called decides whether the reply is streamed, not a hook."""
    body.pop("stream", None)
    if "stream" in original:
        body["stream"] = original["stream"]


async def _run(hook: Hook, *arguments: Any) -> Any:
    """What the hook returns. Raises the error of ours with which it refuses, or one that tells the
    client nothing."""
    try:
        return await hook.run(*arguments)
    except NativeError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        raise_if_cancelled(error)
        raise _failure(hook, error) from error


def _failure(hook: Hook, error: BaseException) -> NativeError:
    """The answer to a failure of a hook, which is logged."""
    _log(hook, error)
    return NativeError()


def _log(hook: Hook, error: BaseException) -> None:
    logger.error("The hook %s failed.", hook.name, exc_info=error)


def _read_metadata(call: Call) -> dict[str, str]:
    try:
        return bounded_metadata(call.metadata)
    except Exception:  # whatever hooks have made of it, the call has to be recorded
        logger.exception("The metadata of hooks cannot be recorded.")
        return {}


def bounded_metadata(metadata: Mapping[Any, Any]) -> dict[str, str]:
    """What of a hook's metadata is recorded: as many pairs as a request may have, as text, cut to
    the lengths that are allowed there."""
    return {
        str(name)[:MAX_METADATA_KEY_LENGTH]: str(value)[:MAX_METADATA_VALUE_LENGTH]
        for name, value in islice(metadata.items(), MAX_METADATA_PAIRS)
    }


def copy_json(value: Any) -> Any:
    """A copy in which every object and list is new."""
    if isinstance(value, Mapping):
        return {name: copy_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [copy_json(item) for item in value]
    return value
