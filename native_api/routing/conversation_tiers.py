"""The highest tier each conversation had, shared between processes through the site's cache.

Best effort: kept for a day, and in this process alone if there is no shared cache.
"""

from __future__ import annotations

from typing import Final

from native_api.background import site_cache
from native_api.bounded_cache import BoundedCache
from native_api.routing.shared_cache import SharedCache, digest, process_cache

TIER_SECONDS: Final = 24 * 3600
"""How long a conversation's tier is remembered after it was last used."""

MAX_TIERS: Final = 10_000


class ConversationTiers:
    def __init__(self, cache: SharedCache) -> None:
        self._cache = cache
        self._tiers = BoundedCache[str, int](MAX_TIERS, seconds=TIER_SECONDS, clock=cache.clock)

    async def raise_tier(self, conversation: str, tier: int, highest: int) -> int:
        """The highest tier that this conversation ever asked for, including `tier`, up to
        `highest`. Tiers count from 0."""
        name = digest(conversation)
        tier = max(tier, self._tiers.get(name, 0))
        if site_cache.is_shared():
            tier = max(tier, await self._cache.ask(tier, _raise_in_cache, name, tier, highest))
        self._tiers[name] = tier
        return tier


def _raise_in_cache(name: str, tier: int, highest: int) -> int:
    cache, key = site_cache.current(), f"native_api.tier.{name}"
    stored = 0 if tier >= highest else cache.get(key)
    tier = max(tier, stored if isinstance(stored, int) else 0)
    cache.set(key, min(tier, highest), TIER_SECONDS)
    return min(tier, highest)


process_tiers: Final = ConversationTiers(process_cache)
raise_tier: Final = process_tiers.raise_tier
