"""Follows one call from its start to its end and turns it into one usage record.

The gateway calls the `on_…` methods as things happen; the record is written once. As a context
manager a CallRecord also sees how the call ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Protocol

from native_api.background.test_environment import current_test
from native_api.dialects.shared.token_counts import read_count
from native_api.exceptions import NativeError, ProviderFault
from native_api.logs import get_logger
from native_api.operations import CHAT, Operation
from native_api.pricing import lookup
from native_api.types import (
    Caller,
    ClientBody,
    Json,
    Target,
    Usage,
)
from native_api.types.model_names import Named
from native_api.upstream.attempt_log import AttemptLog
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry, new_id, time_of_id
from native_api.usage.output_tokens import resolve_usage
from native_api.usage.totals_names import is_answered, name_in_totals

logger = get_logger("native_api.usage")

REFUSED: Final = frozenset({400, 402, 403, 404, 413, 429})
"""Statuses of our own errors which mean that the call was refused."""


class SettlesLimits(Protocol):
    """What the call has reserved of limits (`limits.reservations.CallReservation`)."""

    headers: dict[str, str]

    def settle(self, entries: Sequence[UsageEntry], route: str) -> None:
        """Settle with the call's records: its own first, then those of hedged attempts."""


class Upstream(Protocol):
    """The stream that the record follows (`routing.attempts.RoutedStream`)."""

    @property
    def usage(self) -> Usage | None: ...
    def unread_deltas(self) -> Iterable[Json]:
        """The deltas that were read but not handed on."""


class CallRecord:
    """Counts one call. `attempts` is filled in by routing and upstream while they work."""

    def __init__(
        self,
        body: Mapping[str, Any],
        caller: Caller,
        request_id: str,
        operation: Operation = CHAT,
        endpoint: str = "",
    ) -> None:
        self.operation = operation
        self.request_id, self.endpoint = request_id, endpoint or operation.endpoint
        self.attempts = AttemptLog()
        self.usage: Usage | None = None
        self.upstream: Upstream | None = None
        self.reservation: SettlesLimits | None = None
        self.client_body: ClientBody | None = None
        """The request in the client's own words, if they are not those of `body`."""
        self.requested_model: Named | None = None
        """The requested model as the catalog resolves it; None before that."""
        self._is_counted = False
        self._first_token_at: float | None = None
        self._started_at = time.monotonic()
        self._is_written = False
        self._test = current_test()
        self._entry = UsageEntry(
            request_id=request_id,
            endpoint=self.endpoint,
            stream=bool(body.get("stream")),
            user_id=caller.user_id,
            user_name=caller.user_name,
            api_key_id=caller.key_id,
            api_key_name=caller.key_name,
        )
        self.record_id = self._entry.id
        self.set_body(body)

    def set_body(self, body: Mapping[str, Any]) -> None:
        """What is asked for, before anything was sent. Hooks may have changed it."""
        self.body = body
        self._output = self.operation.new_output(body)
        self._entry.model = body.get("model") or body.get("tier") or ""
        self._entry.metadata = dict(body.get("metadata") or {})

    def add_metadata(self, metadata: Mapping[str, str]) -> None:
        """What the site's hooks add to the client's."""
        self._entry.metadata |= metadata

    def on_first_token(self) -> None:
        self._first_token_at = time.monotonic()

    def on_chunks(self, chunks: Iterable[Any], usage: Usage | None) -> None:
        """Chunks are about to be handed on. `usage` is what the provider reported so far."""
        self.usage = usage
        self._output.add_chunks(chunks)

    def on_reply(self, reply: Any) -> None:
        """The complete reply has arrived. Its `usage` becomes the one that is recorded."""
        self._output.add_reply(reply)
        self.on_usage(reply.get("usage"))
        if self.usage:
            reply["usage"] = self.usage

    def on_usage(self, usage: Usage | None) -> None:
        """The reply is complete and `usage` is what the provider reported for it."""
        self._count(usage, is_whole=True)

    def _count(self, usage: Usage | None, is_whole: bool) -> None:
        self.usage, self._entry.estimated = resolve_usage(
            usage, self._output.produced, self._sent_tokens, is_whole
        )
        self._is_counted = True

    def _sent_tokens(self) -> int:
        return self.attempts.sent_tokens or self.operation.estimate_input(
            self.body if self.client_body is None else self.client_body.body
        )

    # --- the end ---------------------------------------------------------------------------------

    def __enter__(self) -> CallRecord:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._write("ok")
        else:
            self.on_error(error)

    @contextmanager
    def recording_failures(self) -> Iterator[None]:
        """Record the call only if it fails: a stream that starts records its own end."""
        try:
            yield
        except BaseException as error:
            self.on_error(error)
            raise

    def on_client_disconnect(self) -> None:
        """The client left. Does nothing if the record is already written."""
        if not self._is_written:
            self._count_interrupted()
            self._write("client_closed")

    def on_error(self, error: BaseException) -> None:
        """The call ended with an error. Does nothing if the record is already written."""
        if not self._is_written:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            self.on_client_disconnect()
            return
        # An error of our own code after the provider was asked: the provider did its work.
        is_internal = self.attempts.count > 0 and not isinstance(error, NativeError)
        if self._first_token_at is not None or is_internal:
            self._count_interrupted()
        self._entry.error_code = error.code if isinstance(error, NativeError) else "internal_error"
        self._entry.refused_by = error.refused_by if isinstance(error, NativeError) else None
        self._write(_record_status(error))

    def _count_interrupted(self) -> None:
        """Count a call that did not end normally.

        A stream whose finish reason has arrived is whole: providers send the final counts before.
        """
        if self.attempts.target is None or self._is_counted or self.operation.is_free:
            return
        if self.upstream is not None:
            self.usage = self.upstream.usage
            self._output.add_deltas(self.upstream.unread_deltas())
        self._count(self.usage, is_whole=bool(self._output.finish_reason))

    def _write(self, status: str) -> None:
        if self._is_written:
            return
        self._is_written = True
        if self._test is not current_test():
            return
        now = time.monotonic()
        entry = self._entry
        entry.status = status
        entry.finish_reason = self._output.finish_reason
        entry.latency_ms = round((now - self._started_at) * 1000)
        entry.ttft_ms = (
            None
            if self._first_token_at is None
            else round((self._first_token_at - self._started_at) * 1000)
        )
        entry.attempts = self.attempts.count
        if self.attempts.target is not None:
            entry.provider = self.attempts.target.provider.name
            entry.provider_model = self.attempts.target.model
        if self.usage is not None:
            _copy_usage(entry, self.usage)
            entry.cost, entry.price = lookup.cost_and_price(
                self.attempts.target, self.usage, self._output.service_tier
            )
        elif self.operation.is_free:
            entry.cost = Decimal(0)
        entry.counted_as = self._total_name()
        entries = [entry, *(self._hedged_entry(*attempt) for attempt in self.attempts.hedged)]
        self._settle_limits(entries)
        for record in entries:
            recorder.record(record)
        if entry.api_key_id is not None:
            recorder.note_key_use(entry.api_key_id)

    def _total_name(self) -> str:
        """The model's name in the daily totals; "" if it is the requested name."""
        entry, target = self._entry, self.attempts.target
        caller = entry.user_id if entry.user_id is not None else (entry.api_key_id,)
        is_direct = target is not None and self.attempts.route == str(target)
        answering = (
            Named(entry.model, target.provider.name, target.model)
            if target and is_direct and is_answered(entry)
            else None
        )
        name = name_in_totals(
            self.requested_model, answering, caller, time_of_id(entry.id).toordinal()
        )
        return "" if name == entry.model else name

    def _settle_limits(self, entries: Sequence[UsageEntry]) -> None:
        if self.reservation is not None:
            try:
                self.reservation.settle(entries, self.attempts.route)
            except Exception:
                logger.exception(
                    "The limits of a call could not be settled. Its reservations will expire."
                )

    def _hedged_entry(self, target: Target, usage: Usage | None, *deltas: Json) -> UsageEntry:
        """The record of a hedged attempt that lost: its provider may charge for it all the same."""
        entry = replace(
            self._entry,
            id=new_id(),
            created_at=None,
            provider=target.provider.name,
            provider_model=target.model,
        )
        entry.status, entry.error_code, entry.finish_reason = "client_closed", "hedged", ""
        entry.attempts, entry.ttft_ms = 0, None
        output = self.operation.new_output(self.body)
        output.add_deltas(deltas)
        used, entry.estimated = resolve_usage(
            usage, output.produced, self._sent_tokens, is_complete=False
        )
        _copy_usage(entry, used)
        entry.cost, entry.price = lookup.cost_and_price(target, used)
        return entry


def _copy_usage(entry: UsageEntry, usage: Usage) -> None:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    entry.prompt_tokens = read_count(usage, "prompt_tokens")
    entry.completion_tokens = read_count(usage, "completion_tokens")
    entry.total_tokens = read_count(usage, "total_tokens")
    entry.cached_tokens = read_count(prompt, "cached_tokens")
    entry.cache_write_tokens = read_count(prompt, "cache_write_tokens")
    entry.reasoning_tokens = read_count(completion, "reasoning_tokens")


def _record_status(error: BaseException) -> str:
    if isinstance(error, ProviderFault):
        return "upstream_error"
    if isinstance(error, NativeError) and error.status in REFUSED:
        return "refused"
    return "error"
