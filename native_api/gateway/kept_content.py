"""What a kept response says, as the database has it: compressed, and encrypted for its row.

Only computes. Large responses take a while, so callers do this in a thread.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import orjson
from cryptography.fernet import InvalidToken

from native_api.logs import LogInterval, get_logger
from native_api.secret_keys import make_cipher, secret_keys
from native_api.types import Json

logger = get_logger("native_api.responses")

PURPOSE: Final = b"native_api.gateway.kept_content"

ID_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fc",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctc",
}
"""Type of an item -> how OpenAI's ids of it begin, as the SDK's own examples have them (read
2026-11). Those of other items begin with `item`."""


_interval: Final = LogInterval()


class Unreadable(Exception):
    """No key of the site decrypts the content, or it was written for another row."""


class Turn(NamedTuple):
    """The items of one turn. `ids` are those of the input items, which may have none of their
    own."""

    input: list[Json]
    ids: list[str]
    output: list[Json]

    @property
    def items(self) -> list[Json]:
        """In the order in which the next turn repeats them, as they were written."""
        return [*self.input, *self.output]

    @property
    def item_ids(self) -> list[str]:
        """Each id once: those of the output, then those of the input, the newest first."""
        output = [item["id"] for item in self.output if item.get("id")]
        return list(dict.fromkeys([*output, *reversed(self.ids)]))

    def list_input(self) -> list[Json]:
        """The input items in full, each with its id."""
        return [_in_full(item, own) for item, own in zip(self.input, self.ids, strict=True)]

    def by_id(self) -> dict[str, Json]:
        """The items by their ids, as they were written."""
        named = zip(self.ids, self.input, strict=True)
        return {**dict(named), **{item["id"]: item for item in self.output if item.get("id")}}


def make_turn(input_items: Sequence[Json], output: Sequence[Json]) -> Turn:
    return Turn(list(input_items), [_id_of(item) for item in input_items], list(output))


def _id_of(item: Json) -> str:
    own = item.get("id")
    if isinstance(own, str) and own:
        return own
    kind = item.get("type") or "message"
    return f"{ID_PREFIXES.get(kind, 'item')}_{secrets.token_hex(16)}"


def _in_full(item: Json, own_id: str) -> Json:
    """The item without the short forms that only requests have."""
    content, role = item.get("content"), item.get("role")
    if isinstance(content, str):
        kind = "output_text" if role == "assistant" else "input_text"
        item = {**item, "content": [{"type": kind, "text": content}]}
    return {"type": "message", "status": "completed", **item, "id": own_id}


def encode_turn(turn: Turn) -> bytes:
    return orjson.dumps(list(turn))


def decode_turn(text: bytes) -> Turn:
    return Turn(*orjson.loads(text))


def encrypt(row: UUID, text: bytes) -> bytes:
    """The text for this row."""
    token = make_cipher(PURPOSE, secret_keys()).encrypt(row.bytes + zlib.compress(text, 1))
    return base64.urlsafe_b64decode(token)


def decrypt(row: UUID, content: bytes) -> bytes:
    """The text of this row. Raises Unreadable."""
    token = base64.urlsafe_b64encode(content)
    try:
        bound = make_cipher(PURPOSE, secret_keys()).decrypt(token)
    except InvalidToken:
        _warn_of_keys()
        raise Unreadable from None
    if bound[:16] != row.bytes:
        raise Unreadable
    return zlib.decompress(bound[16:])


def decrypt_or_skip(row: UUID, content: bytes) -> bytes:
    """The text of this row, empty if it is unreadable."""
    try:
        return decrypt(row, content)
    except Unreadable:
        return b""


def _warn_of_keys() -> None:
    if _interval.is_due():
        logger.warning(
            "Kept responses cannot be read with this site's keys, so to clients they are not "
            "there. Add the key that encrypted them to NATIVE_API['SECRET_KEYS'] or to "
            "SECRET_KEY_FALLBACKS."
        )
