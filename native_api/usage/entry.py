"""One usage record on its way to the database, and its time-ordered id. No Django, no I/O."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

__all__ = ["UsageEntry"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
INVALID_LINE_ERRORS: Final = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
"""What `UsageEntry.from_json` raises if a line is not an entry."""

MAX_DEPTH: Final = 16
"""Metadata that is nested more deeply is kept as text."""


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7).

    It consists of the milliseconds, 12 bits for the fraction of the millisecond (section 6.2,
    method 3), and random bits. The id must be unique, not secret, so the bits come from Python's
    own generator, which the system seeds, and seeds again after a fork.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    random_bits = random.getrandbits(62)
    return UUID(
        int=milliseconds << 80 | 7 << 76 | (rest << 12) // 1_000_000 << 64 | 2 << 62 | random_bits
    )


def first_id_at(moment: datetime) -> UUID:
    """The smallest id that `new_id` can make at `moment`: a period of time is a range of ids."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)


def time_of_id(identity: UUID) -> datetime:
    """When the id was made, to the millisecond."""
    return EPOCH + timedelta(milliseconds=identity.int >> 80)


@dataclass(slots=True)
class UsageEntry:
    """The fields of `models.UsageRecord`, with the ids of the user and the key, and two more.

    `claims` and `refused_by` are not stored; only the writer's hooks read them. `claims` is what
    the call uses of budgets, in units by budget key, or None if it reserved nothing. `refused_by`
    describes the limit that refused the call. `created_at` defaults to the time in `id`. `status`
    is a value of `UsageRecord.Status`.
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
            self.created_at = time_of_id(self.id)

    def to_json(self) -> bytes:
        """One line of JSON, with the cost as text.

        Never raises: values that JSON does not have are written as text.
        """
        try:
            return orjson.dumps(self, default=str)
        except TypeError:
            return orjson.dumps({name: _to_json_value(getattr(self, name)) for name in FIELDS})

    @classmethod
    def from_json(cls, line: bytes) -> UsageEntry:
        """The entry that `to_json` wrote, in this version or another.

        Unknown fields are skipped and missing ones have defaults. NUL characters, which PostgreSQL
        does not store, become U+FFFD. Raises INVALID_LINE_ERRORS for anything else.
        """
        members = orjson.loads(line)
        if b"\\u0000" in line:
            members = _replace_nul(members)
        values = {name: value for name, value in members.items() if name in FIELDS}
        values["id"] = UUID(values["id"])
        if values.get("created_at") is not None:
            values["created_at"] = datetime.fromisoformat(values["created_at"])
        if values.get("cost") is not None:
            values["cost"] = Decimal(values["cost"])
        return cls(**values)


FIELDS: Final = frozenset(each.name for each in fields(UsageEntry))


def _to_json_value(value: Any, depth: int = 0) -> Any:
    """`value` as orjson accepts it.

    It accepts no lone surrogates, no integers beyond 64 bits, no keys but text, no deep nesting.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {
            _to_json_value(str(key)): _to_json_value(item, depth + 1) for key, item in value.items()
        }
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_to_json_value(item, depth + 1) for item in value]
    return _to_text(value)


def _to_text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"


def _replace_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_replace_nul(key): _replace_nul(item) for key, item in value.items()}
    return [_replace_nul(item) for item in value] if isinstance(value, list) else value
