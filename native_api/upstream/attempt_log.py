"""What one call has tried so far. What belongs here: facts that the engine notes while it runs and
the usage record reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from native_api.types import Json, Target, Usage


@dataclass(slots=True)
class AttemptLog:
    """What was tried so far, kept up to date while a call runs. `target` is the last one tried, or
    the one that answered.

    `count` is the number of requests that were sent: a connection that was refused is none. `route`
    is the name of the route that `target` belongs to. `skipped` lists the targets that could not
    express the request or are not usable, each with its UnsupportedField or ProviderUnusable.
    `hedged` lists the ones that were started beside `target` and lost: each target, the usage that
    it told, if any, and the deltas that came of its answer.
    """

    count: int = 0
    target: Target | None = None
    route: str = ""
    skipped: list[tuple[Target, Exception]] = field(default_factory=list)
    hedged: list[tuple[Target, Usage | None, *tuple[Json, ...]]] = field(default_factory=list)
    sent_tokens: int = 0
    """Estimated input tokens of the body that was last sent; 0 before anything was sent."""
