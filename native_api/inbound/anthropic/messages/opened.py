"""Opens what the gateway sealed in the blocks of its earlier replies: a provider's signature, with
the mark of its issuer, or what another wire needs back (`inbound.replayed`)."""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.issuers import OWN_MEMBERS
from native_api.inbound.base import Seal
from native_api.inbound.sealed import read_sealed
from native_api.types import Json

SEALED_MEMBERS: Final = {
    "thinking": ("signature",),
    "redacted_thinking": ("data",),
    "compaction": ("signature", "encrypted_content"),
}
"""Type of a block -> its members that are sealed."""


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
    sealed = SEALED_MEMBERS.get(block["type"], ())
    kept = {
        name: value
        for name, value in block.items()
        if name not in OWN_MEMBERS and name not in sealed
    }
    for member in sealed:
        kept |= _open_member(block, member, seal, lost)
    return kept


def _open_member(block: Json, member: str, seal: Seal, lost: list[str]) -> Json:
    """The member as it was sealed. Thinking has it in any case, a compaction may be without."""
    is_required = block["type"] != "compaction"
    empty = {member: ""} if is_required else {}
    if not block.get(member):
        return empty if is_required or member not in block else {member: block[member]}
    members = read_sealed(seal.open(block[member]), member)
    if not members:
        lost.append(f"messages.{member}")
    return empty | members
