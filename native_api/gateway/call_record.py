"""Follows one call from its arrival to its end, and turns it into one usage record.

A meter is told what happens; it asks nobody and writes once. Used as a context manager it also sees
how the call ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final, Protocol

from native_api.exceptions import NativeError, ProviderFault
from native_api.gateway.produced_tokens import Produced, counted
from native_api.logs import get_logger
from native_api.pricing import lookup
from native_api.pricing.tables import count_of
from native_api.types import (
    Caller,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Json,
    Target,
    Usage,
)
from native_api.types.model_names import Named
from native_api.upstream.attempt_log import AttemptLog
from native_api.usage import recorder, tokens
from native_api.usage.daily_names import daily_name, is_answered
from native_api.usage.entry import UsageEntry, moment_of, new_id

logger = get_logger("native_api.usage")

REFUSED: Final = frozenset({400, 402, 403, 404, 413, 429})
"""Statuses of our own errors that mean the call was not let through."""


class SettlesLimits(Protocol):
    """What the call holds of limits (`limits.holds`)."""

    headers: dict[str, str]

    def settle(self, entries: Sequence[UsageEntry], route: str) -> None:
        """The call is over, with these records, its own first."""


class Upstream(Protocol):
    """The stream that a call follows (`engine.client`)."""

    @property
    def usage(self) -> Usage | None: ...
    def unread(self) -> Iterable[Json]:
        """The deltas that were read and not handed on."""


class CallRecord:
    """Counts one call. `attempts` is shared with the engine, which keeps it up to date."""

    def __init__(self, chat: ChatRequest, caller: Caller, request_id: str, endpoint: str) -> None:
        self.chat = chat
        self.attempts = AttemptLog()
        self.usage: Usage | None = None
        self.upstream: Upstream | None = None
        self.reservation: SettlesLimits | None = None
        self.named: Named | None = None
        """What the site's catalog makes of the name that was asked for; None until it was looked
        at."""
        self._finish_reason = ""
        self._tier = ""
        self._produced = self._nothing_yet()
        self._is_final = False
        self._first_token: float | None = None
        self._started = time.monotonic()
        self._done = False
        self._entry = UsageEntry(
            request_id=request_id,
            endpoint=endpoint,
            model=chat.get("model") or chat.get("tier") or "",
            stream=bool(chat.get("stream")),
            user_id=caller.user_id,
            user_name=caller.user_name,
            api_key_id=caller.key_id,
            api_key_name=caller.key_name,
            metadata=dict(chat.get("metadata") or {}),
        )
        self.record_id = self._entry.id

    def first_token(self) -> None:
        self._first_token = time.monotonic()

    def told(self, batch: list[ChatCompletionChunk], usage: Usage | None) -> None:
        """A batch of chunks is about to be handed on; `usage` is what the provider has told so
        far."""
        self.usage = usage
        add = self._produced.add
        for chunk in batch:
            self._tier = chunk.get("service_tier") or self._tier
            for choice in chunk["choices"]:
                add(choice["delta"])
                if choice["finish_reason"]:
                    self._finish_reason = choice["finish_reason"]

    def told_all(self, completion: ChatCompletion) -> None:
        """The complete reply is there."""
        for choice in completion["choices"]:
            self._produced.add(choice["message"])
            self._finish_reason = choice["finish_reason"] or ""
        self._tier = completion.get("service_tier") or ""
        self.settle(completion.get("usage"))
        if self.usage:
            completion["usage"] = self.usage

    def settle(self, usage: Usage | None) -> None:
        """Nothing more will come of the whole answer: `usage` is what the provider told of it."""
        self._count(usage, is_whole=True)

    def _count(self, usage: Usage | None, is_whole: bool) -> None:
        self.usage, self._entry.estimated = counted(
            usage, self._produced, self._sent_tokens, is_whole
        )
        self._is_final = True

    def _sent_tokens(self) -> int:
        return self.attempts.sent_tokens or tokens.prompt_tokens(self.chat)

    def _nothing_yet(self) -> Produced:
        return Produced((self.chat.get("audio") or {}).get("format") or "")

    # --- the end ---------------------------------------------------------------------------------------------

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
            self._failed(error)

    @contextmanager
    def until_stream(self) -> Iterator[None]:
        """Records the call only where it fails: the stream that follows records its own end."""
        try:
            yield
        except BaseException as error:
            self._failed(error)
            raise

    def left(self) -> None:
        """The client is gone. Does nothing where the end is recorded already."""
        if not self._done:
            self._with_what_was_produced()
            self._write("client_closed")

    def failed(self, error: BaseException) -> None:
        """The call ends with an error. Does nothing where the end is recorded already."""
        if not self._done:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            self.left()
            return
        failed_inside = self.attempts.count > 0 and not isinstance(
            error, NativeError
        )  # and the provider was at work
        if self._first_token is not None or failed_inside:
            self._with_what_was_produced()
        self._entry.error_code = error.code if isinstance(error, NativeError) else "internal_error"
        self._entry.refused_by = error.refused_by if isinstance(error, NativeError) else None
        self._write(_status(error))

    def _with_what_was_produced(self) -> None:
        """Count a broken call. A stream whose last chunk has come is whole: that tells the finish
        reason, after the final counts."""
        if self.attempts.target is None or self._is_final:
            return
        if self.upstream is not None:
            self.usage = self.upstream.usage
            for delta in self.upstream.unread():
                self._produced.add(delta)
        self._count(self.usage, is_whole=bool(self._finish_reason))

    def _write(self, status: str) -> None:
        if self._done:
            return
        self._done = True
        now = time.monotonic()
        entry = self._entry
        entry.status = status
        entry.finish_reason = self._finish_reason
        entry.latency_ms = round((now - self._started) * 1000)
        entry.ttft_ms = (
            None if self._first_token is None else round((self._first_token - self._started) * 1000)
        )
        entry.attempts = self.attempts.count
        if self.attempts.target is not None:
            entry.provider = self.attempts.target.provider.name
            entry.provider_model = self.attempts.target.model
        if self.usage is not None:
            _put_on(entry, self.usage)
            lookup.charge(entry, self.attempts.target, self.usage, self._tier)
        entry.counted_as = self._counted_as()
        entries = [entry, *(self._hedged(*lost) for lost in self.attempts.hedged)]
        self._settle(entries)
        for each in entries:
            recorder.record(each)
        if entry.api_key_id is not None:
            recorder.touch_key(entry.api_key_id)

    def _counted_as(self) -> str:
        """The model's name in the daily totals, "" for the one that was asked for."""
        entry, target = self._entry, self.attempts.target
        caller = entry.user_id if entry.user_id is not None else (entry.api_key_id,)
        is_direct = target is not None and self.attempts.route == str(target)
        answering = (
            Named(entry.model, target.provider.name, target.model)
            if target and is_direct and is_answered(entry)
            else None
        )
        name = daily_name(self.named, answering, caller, moment_of(entry.id).toordinal())
        return "" if name == entry.model else name

    def _settle(self, entries: Sequence[UsageEntry]) -> None:
        if self.reservation is not None:
            try:
                self.reservation.settle(entries, self.attempts.route)
            except Exception:
                logger.exception(
                    "What a call used of its limits could not be settled. What it reserved of budgets ends by itself."
                )

    def _hedged(self, target: Target, usage: Usage | None, *deltas: Json) -> UsageEntry:
        """A second record for what was started beside the answer and lost: its provider may have
        worked, and be paid for it."""
        entry = replace(
            self._entry,
            id=new_id(),
            created_at=None,
            provider=target.provider.name,
            provider_model=target.model,
        )
        entry.status, entry.error_code, entry.finish_reason = "client_closed", "hedged", ""
        entry.attempts, entry.ttft_ms = 0, None
        produced = self._nothing_yet()
        for delta in deltas:
            produced.add(delta)
        used, entry.estimated = counted(usage, produced, self._sent_tokens, is_whole=False)
        _put_on(entry, used)
        lookup.charge(entry, target, used)
        return entry


def _put_on(entry: UsageEntry, usage: Usage) -> None:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    entry.prompt_tokens = count_of(usage.get("prompt_tokens"))
    entry.completion_tokens = count_of(usage.get("completion_tokens"))
    entry.total_tokens = count_of(usage.get("total_tokens"))
    entry.cached_tokens = count_of(prompt.get("cached_tokens"))
    entry.cache_write_tokens = count_of(prompt.get("cache_write_tokens"))
    entry.reasoning_tokens = count_of(completion.get("reasoning_tokens"))


def _status(error: BaseException) -> str:
    if isinstance(error, ProviderFault):
        return "upstream_error"
    if isinstance(error, NativeError) and error.status in REFUSED:
        return "refused"
    return "error"
