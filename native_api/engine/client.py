"""Attempts: try the targets of a call in order until one answers.

Rules:
1. A target that cannot express the request is skipped; if none is left, the first one's reason is the answer.
2. What the client must mend (400, 413) is not tried elsewhere.
3. Nothing is tried again once a chunk was handed on.
4. The last provider's error is what the caller sees.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from native_api.engine import exchange
from native_api.exceptions import NativeError, NoTargetAvailable, ProviderFault, UnsupportedField
from native_api.types import Attempts, ChatRequest, Target

T = TypeVar("T")

FINAL_STATUSES: Final = frozenset({400, 413})
"""Errors that another target would give too."""


async def complete(chat: ChatRequest, targets: Iterable[Target], attempts: Attempts) -> exchange.Completed:
    """The reply of the first target that gives one. Raises NativeError."""
    return await _first(chat, targets, attempts, exchange.complete)


async def open_stream(chat: ChatRequest, targets: Iterable[Target], attempts: Attempts) -> exchange.Stream:
    """The stream of the first target that begins one. Raises NativeError."""
    return await _first(chat, targets, attempts, exchange.open_stream)


async def _first(
    chat: ChatRequest, targets: Iterable[Target], attempts: Attempts, call: Callable[[ChatRequest, Target], Awaitable[T]]
) -> T:
    failure: NativeError | None = None
    for target in targets:
        try:
            attempts.count += 1
            attempts.target = target
            return await call(chat, target)
        except UnsupportedField as reason:
            attempts.count -= 1
            attempts.skipped.append((target, reason))
        except ProviderFault as fault:
            fault.provider = target.provider.name
            failure = fault
            if fault.status in FINAL_STATUSES:
                break
    raise failure or _unsuitable(attempts)


def _unsuitable(attempts: Attempts) -> Exception:
    return attempts.skipped[0][1] if attempts.skipped else NoTargetAvailable(headers={"retry-after": "5"})
