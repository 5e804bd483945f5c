"""Context managers around a call to a provider: faults that name it, and deadlines."""

from __future__ import annotations

import asyncio
from typing import Any

from native_api.exceptions import ProviderFault, UpstreamTimeout
from native_api.types import Target
from native_api.upstream.redaction import attribute_fault


class attributed:
    """Names the target's provider in every fault that leaves, and redacts the fault's message."""

    def __init__(self, target: Target) -> None:
        self._provider = target.provider

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProviderFault):
            attribute_fault(error, self._provider)


class deadline:
    """`asyncio.timeout` that raises UpstreamTimeout."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            raise UpstreamTimeout from None


def raise_if_cancelled(error: BaseException) -> None:
    """Raise an error that cancels the running task, not only one that it has waited for."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
        raise error
