"""What a call has tried so far. Written while the call runs, read by the usage record."""

from __future__ import annotations

from dataclasses import dataclass, field

from native_api.types import Json, Target, Usage


@dataclass(slots=True)
class AttemptLog:
    """`target` is the last one tried, or the one that answered; `route` is the name of its route.

    `count` is the number of requests that were sent; a refused connection does not count. `skipped`
    lists the targets that could not express the request or are not usable, each with its
    UnsupportedField or ProviderUnusable. `hedged` lists the ones that lost a race to `target`: the
    target, the usage it reported, if any, and the deltas of its answer that arrived.
    """

    count: int = 0
    target: Target | None = None
    route: str = ""
    skipped: list[tuple[Target, Exception]] = field(default_factory=list)
    hedged: list[tuple[Target, Usage | None, *tuple[Json, ...]]] = field(default_factory=list)
    sent_tokens: int = 0
    """Estimated input tokens of the body that was sent last; 0 before anything was sent."""
