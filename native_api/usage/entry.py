"""One usage record on its way to the database, and the time-ordered id it is known by. No Django,
no I/O."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
"""What `from_json` raises for a line that is no entry."""

MAX_DEPTH: Final = 16
"""Deeper values of metadata are kept as text."""


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7): milliseconds, then 12 bits of what is left of them (6.2,
    method 3), then chance.

    It has to be unique, not secret, so chance is Python's own generator, which is seeded by the
    system, anew after a fork.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    chance = random.getrandbits(62)
    return UUID(
        int=milliseconds << 80 | 7 << 76 | (rest << 12) // 1_000_000 << 64 | 2 << 62 | chance
    )


def first_id_of(moment: datetime) -> UUID:
    """The smallest id that `new_id` can make at `moment`, so that a period of time is a range of
    ids."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)


def moment_of(identity: UUID) -> datetime:
    """When the id was made, to the millisecond."""
    return EPOCH + timedelta(milliseconds=identity.int >> 80)


@dataclass(slots=True)
class UsageEntry:
    """The fields of `models.UsageRecord`, with ids in place of the user and the key, and two that
    are for the recorder's hooks alone.

    `claims` is what the call takes of budgets, in units by the budget's key; None where it asked
    for none. `refused_by` describes the limit that refused it. `created_at` is the time that `id`
    tells, unless given. `status` is a value of `UsageRecord.Status`.
    """

    request_id: str = ""
    endpoint: str = ""
    model: str = ""
    counted_as: str = ""
    stream: bool = False
    user_id: int | str | None = None
    user_name: str = ""
    api_key_id: int | None = None
    api_key_name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    provider_model: str = ""
    status: str = "ok"
    error_code: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost: Decimal | None = None
    price: dict[str, Any] | None = None
    latency_ms: int = 0
    ttft_ms: int | None = None
    attempts: int = 0
    claims: dict[str, int] | None = None
    refused_by: dict[str, Any] | None = None
    id: UUID = field(default_factory=new_id)
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.created_at is None:
            self.created_at = moment_of(self.id)

    def to_json(self) -> bytes:
        """One line of JSON, the cost as text. Never raises: what JSON cannot say is said as
        text."""
        try:
            return orjson.dumps(self, default=str)
        except TypeError:
            return orjson.dumps({name: _plain(getattr(self, name)) for name in FIELDS})

    @classmethod
    def from_json(cls, line: bytes) -> UsageEntry:
        """The entry that `to_json` wrote, by this version or another: unknown fields are skipped,
        missing ones have defaults.

        NUL characters, which PostgreSQL takes nowhere, become U+FFFD. Raises UNREADABLE for
        anything else.
        """
        values = orjson.loads(line)
        if b"\\u0000" in line:
            values = _without_nul(values)
        known = {name: value for name, value in values.items() if name in FIELDS}
        known["id"] = UUID(known["id"])
        if known.get("created_at") is not None:
            known["created_at"] = datetime.fromisoformat(known["created_at"])
        if known.get("cost") is not None:
            known["cost"] = Decimal(known["cost"])
        return cls(**known)


FIELDS: Final = frozenset(each.name for each in fields(UsageEntry))


def _plain(value: Any, depth: int = 0) -> Any:
    """`value` in what orjson takes: no lone surrogates, no huge integers, no odd keys, no
    bottomless nesting."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {_plain(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return [_without_nul(item) for item in value] if isinstance(value, list) else value
