"""The two things that the gateway seals for a caller, who sends them back unread:

1. what a provider signed or encrypted, with the mark of who issued it;
2. what of a unified message another wire needs back (`inbound.replayed`).
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.issuers import MARK, RESTORED
from native_api.inbound.base import ParsedRequest, Seal
from native_api.types import Json

SIGNED: Final = "value"
REPLAYED: Final = "message"


def find_seal(parsed: ParsedRequest) -> Seal:
    """The caller's seal, which every request of an API that seals has."""
    assert parsed.context is not None
    return parsed.context.seal


def is_marked(value: Any) -> bool:
    """Whether a provider's item or block says who issued it, so that it has to be sealed."""
    return isinstance(value, dict) and MARK in value


def seal_signed(seal: Seal, issuer: Any, signed: Any) -> str:
    """What a provider signed or encrypted, sealed."""
    return seal.seal({MARK: issuer, SIGNED: signed})


def seal_replayed(seal: Seal, members: Json) -> str:
    """What `ReplayedMembers.take` returned, sealed."""
    return seal.seal({REPLAYED: members})


def read_sealed(value: Any, member: str) -> Json:
    """The members that stand for an opened seal: `member` as its issuer wrote it, with the mark, or
    `RESTORED`. Empty if it is another value, or did not open."""
    if not isinstance(value, dict):
        return {}
    if MARK in value and isinstance(value.get(SIGNED), str):
        return {member: value[SIGNED], MARK: value[MARK]}
    replayed = value.get(REPLAYED)
    return {RESTORED: replayed} if isinstance(replayed, dict) else {}
