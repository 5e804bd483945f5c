"""Opens what the gateway sealed in the thinking of its earlier replies: a provider's signature,
with the mark of its issuer, or what another wire needs back (`inbound.replayed`)."""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.issuers import OWN_MEMBERS
from native_api.inbound.base import Seal
from native_api.inbound.sealed import read_sealed
from native_api.types import Json

SEALED_MEMBERS: Final = {"thinking": "signature", "redacted_thinking": "data"}
"""Type of a block -> its member that is sealed."""


def open_messages(messages: list[Json], seal: Seal) -> tuple[list[Json], list[str]]:
    """The messages with all seals opened, and the names of members that did not open: they are left
    out. Never changes `messages`."""
    lost: list[str] = []
    opened = [
        {**message, "content": _open_blocks(message["content"], seal, lost)}
        if _has_seals(message)
        else message
        for message in messages
    ]
    return opened, list(dict.fromkeys(lost))


def _has_seals(message: Json) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(map(_is_opened, content))


def _is_opened(block: Json) -> bool:
    return block["type"] in SEALED_MEMBERS or not OWN_MEMBERS.isdisjoint(block)


def _open_blocks(blocks: list[Json], seal: Seal, lost: list[str]) -> list[Json]:
    return [_open_block(block, seal, lost) if _is_opened(block) else block for block in blocks]


def _open_block(block: Json, seal: Seal, lost: list[str]) -> Json:
    """The block with its seal opened, or empty if it does not open: no signature is an empty one.

    What a client wrote under the names of the gateway's own members is left out.
    """
    kept = {name: value for name, value in block.items() if name not in OWN_MEMBERS}
    member = SEALED_MEMBERS.get(block["type"])
    if member is None:
        return kept
    kept.pop(member, None)
    kept[member] = ""
    sealed = block.get(member)
    if not sealed:
        return kept
    members = read_sealed(seal.open(sealed), member)
    if not members:
        lost.append(f"messages.{member}")
    return kept | members
