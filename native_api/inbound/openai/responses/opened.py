"""Opens what the gateway has sealed for this caller in `encrypted_content`: of reasoning, and of
compactions.

1. What a provider of this wire had encrypted is there again, with its issuer in `issued_by`.
2. What a provider of another wire needs back is in `restored`, for `unify` (`inbound.replayed`).
3. A conversation that the gateway has compacted is a user's message with its summary, which every
   provider can read. It has no more weight than what it sums up.
4. What does not open was made elsewhere or for somebody else. It is left out, and reported.

Nobody but the gateway may write these two members.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.issuers import OWN_MEMBERS, RESTORED
from native_api.dialects.shared.json_values import replace_items
from native_api.inbound.base import Seal
from native_api.inbound.sealed import read_sealed
from native_api.types import Json

ENCRYPTED: Final = "encrypted_content"
OPENED_MEMBERS: Final = OWN_MEMBERS | {ENCRYPTED}
SUMMARY_TITLE: Final = "Summary of the conversation before this message:"
REPORT: Final = f"input.{ENCRYPTED}"


def open_input(items: Any, seal: Seal, omitted: list[str]) -> Any:
    """Checked `input` with all items opened; itself if there is nothing to open. Adds to `omitted`
    what does not open."""
    if isinstance(items, str):
        return items
    return replace_items(items, [_open_item(item, seal, omitted) for item in items])


def _open_item(item: Json, seal: Seal, omitted: list[str]) -> Json:
    if OPENED_MEMBERS.isdisjoint(item):
        return item
    opened = {name: value for name, value in item.items() if name not in OPENED_MEMBERS}
    sealed = item.get(ENCRYPTED)
    if not sealed:
        return opened
    value = seal.open(sealed)
    if item.get("type") == "compaction" and isinstance(value, dict) and "summary" in value:
        return build_summary_message(value["summary"])
    members = read_sealed(value, ENCRYPTED)
    if RESTORED in members and item.get("type") != "reasoning":
        members = {}
    if not members and REPORT not in omitted:
        omitted.append(REPORT)
    return opened | members


def build_summary_message(summary: str) -> Json:
    """What stands for a compacted conversation."""
    return {"type": "message", "role": "user", "content": f"{SUMMARY_TITLE}\n\n{summary}"}


def is_summary(message: Json) -> bool:
    content = message.get("content")
    return isinstance(content, str) and content.startswith(SUMMARY_TITLE)
