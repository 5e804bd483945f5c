"""A stream together with the permit for its target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from native_api.exceptions import ProviderFault
from native_api.routing.pool import TargetPermit
from native_api.types import ForwardedEvent, Json, Usage
from native_api.upstream.stream import StreamItem, UpstreamStream


class RoutedStream:
    """A reply's chunks, or forwarded events, in batches, and the slot that it holds at its target.
    Iterate once, then `aclose`."""

    def __init__(self, upstream: UpstreamStream, permit: TargetPermit) -> None:
        self.omitted = upstream.omitted
        self.target = upstream.target
        self._upstream = upstream
        self._permit = permit

    @property
    def usage(self) -> Usage | None:
        """The usage that the provider has reported so far."""
        return self._upstream.usage

    @property
    def is_forwarded(self) -> bool:
        """Whether the items are ForwardedEvents."""
        return self._upstream.editor is not None

    @property
    def usage_event(self) -> ForwardedEvent | None:
        """The provider's own event that reports the usage, if it may go on."""
        return self._upstream.editor.usage_event if self._upstream.editor else None

    @property
    def is_stamped(self) -> bool:
        """Whether the items are unified chunks, whose head and ids the gateway completes."""
        return self._upstream.editor is None or self._upstream.editor.is_stamped

    @property
    def last_events(self) -> Sequence[ForwardedEvent]:
        """The provider's own events that end the reply, if they are held back until the usage is
        recorded."""
        return self._upstream.editor.last_events if self._upstream.editor else ()

    def unread_deltas(self) -> Iterable[Json]:
        """The deltas that arrived and were not handed on."""
        return self._upstream.unread_deltas()

    async def __aiter__(self) -> AsyncIterator[list[StreamItem]]:
        try:
            async for batch in self._upstream:
                yield batch
        except ProviderFault as fault:
            fault.provider = self.target.provider.name
            self._permit.record_failure(fault)
            raise
        self._permit.record_success()
        self._permit.release()

    async def aclose(self) -> None:
        try:
            await self._upstream.aclose()
        finally:
            self._permit.release()
