"""The rows of kept responses: one query or transaction per function, for the database's threads.

Rules:
1. A row is found by a digest of its caller and its id. So no caller finds another's, and an id that
   two callers have is two rows.
2. A row is never changed. Some providers repeat their ids: then the caller's newest row is meant,
   which may continue an older one of the same id.
3. Every function may be called again after a lost connection. The moment of a row, which is chosen
   before, tells whether a row that is there already is the same.
4. Rows that are older than RESPONSES["DAYS"] are not there, whether or not they are deleted yet.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from django.db import IntegrityError, router, transaction
from django.db.models import Max, QuerySet, Sum

from native_api.bounded_cache import BoundedCache
from native_api.conf import native_settings
from native_api.inbound.body_limits import BodyMemory
from native_api.models import KeptResponse
from native_api.models.responses import KeptItem
from native_api.types import Caller

ROW_BYTES: Final = 500
ITEM_ROW_BYTES: Final = 100
"""What a row takes beside its content, with its indexes; about."""

BATCH: Final = 500
"""Rows in one statement."""

FULL: Final = 0.9
"""The part of MAX_BYTES that a caller's responses take after the oldest were deleted."""

SUM_SECONDS: Final = 300.0
"""For which the sum of a caller's bytes is used before it is read again."""

_sums: Final = BoundedCache[str, tuple[int, float]](10_000)
"""Caller -> the bytes of its rows and when they were read. Meanwhile only what this process adds is
known, so a caller may have MAX_BYTES in each process."""


class NotThere(Exception):
    """There is no such row, or one of its ancestors is not there any more."""


class KeptRow(NamedTuple):
    digest: UUID
    items: bytes
    response: bytes


class Chain(NamedTuple):
    """The rows of a conversation, the first turn first, and the bytes of their JSON."""

    turns: list[tuple[UUID, bytes]]
    history_bytes: int


class NewRow(NamedTuple):
    """What is known of a row before it is written. `turn_bytes` are those of the JSON of its
    items."""

    caller: Caller
    response_id: str
    model: str
    created_at: datetime
    previous: UUID | None
    items: bytes
    response: bytes
    turn_bytes: int
    item_digests: Sequence[UUID]

    @property
    def size(self) -> int:
        item_rows = ITEM_ROW_BYTES * len(self.item_digests)
        return len(self.items) + len(self.response) + ROW_BYTES + item_rows


def response_digest(caller: Caller, response_id: str) -> UUID:
    return _digest("response", caller, response_id)


def item_digest(caller: Caller, item_id: str) -> UUID:
    return _digest("item", caller, item_id)


def _digest(kind: str, caller: Caller, identity: str) -> UUID:
    named = orjson.dumps([kind, caller.identity, identity])
    return UUID(bytes=hashlib.sha256(named).digest()[:16])


# --- reading -------------------------------------------------------------------------------------


def read(digest: UUID) -> KeptRow:
    """One row. Raises NotThere."""
    found = _newest(digest).values_list("items", "response").first()
    if found is None:
        raise NotThere
    return KeptRow(digest, bytes(found[0]), bytes(found[1]))


def read_chain(
    digest: UUID, max_turns: int, max_bytes: int, memory: BodyMemory | None = None
) -> Chain | None:
    """The row and all its ancestors; None if they are more than that. `memory` counts their bytes.
    Raises NotThere, Overloaded."""
    last = _newest(digest).values_list("pk", "ancestors", "history_bytes").first()
    if last is None:
        raise NotThere
    keys = [*last[1], last[0]]
    if len(keys) > max_turns or last[2] > max_bytes:
        return None
    if memory is not None:
        memory.add(last[2])
    rows = _rows().filter(pk__in=keys).values_list("pk", "digest", "items")
    found = {key: (each, bytes(items)) for key, each, items in rows}
    if len(found) < len(keys):
        raise NotThere
    return Chain([found[key] for key in keys], last[2])


def read_items(
    digests: Sequence[UUID], max_bytes: int, memory: BodyMemory | None = None
) -> list[tuple[UUID, bytes]]:
    """The rows that have these items, the newest first, up to so many bytes, which `memory` counts.
    Of several with the same item, the newest. Raises Overloaded."""
    ids = KeptItem._base_manager.using(database_alias()).filter(
        digest__in=digests, response__created_at__gte=_oldest()
    )
    newest = ids.values("digest").order_by().annotate(newest=Max("response_id"))
    found = _rows().filter(pk__in=set(newest.values_list("newest", flat=True))).order_by("-pk")
    sizes = list(found.values_list("pk", "size"))
    totals = list(accumulate(size for _key, size in sizes))
    fitting = [total for total in totals if total <= max_bytes]
    if memory is not None and fitting:
        memory.add(fitting[-1])
    keys = [key for key, _size in sizes[: len(fitting)]]
    rows = found.filter(pk__in=keys).values_list("digest", "items")
    return [(digest, bytes(items)) for digest, items in rows]


def _rows() -> QuerySet[KeptResponse]:
    return KeptResponse._base_manager.using(database_alias()).filter(created_at__gte=_oldest())


def _newest(digest: UUID) -> QuerySet[KeptResponse]:
    return _rows().filter(digest=digest).order_by("-pk")


def database_alias() -> str:
    return router.db_for_write(KeptResponse)


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=native_settings.RESPONSES["DAYS"])


# --- writing -------------------------------------------------------------------------------------


def write(new: NewRow) -> bool:
    """Whether the row is there now. It is not if its caller is gone, or the turn before it."""
    previous: Any = ([], 0)
    if new.previous is not None:
        fields = ("pk", "ancestors", "history_bytes")
        found = _newest(new.previous).values_list(*fields).first()
        if found is None:
            return False
        previous = ([*found[1], found[0]], found[2])
    row = _make_row(new, *previous)
    try:
        with transaction.atomic(using=database_alias()):
            row.save(using=database_alias(), force_insert=True)
            items = [KeptItem(digest=digest, response=row) for digest in new.item_digests]
            KeptItem._base_manager.using(database_alias()).bulk_create(items, batch_size=BATCH)
    except IntegrityError:
        return _rows().filter(digest=row.digest, created_at=new.created_at).exists()
    _make_room(new.caller, row)
    return True


def _make_row(new: NewRow, ancestors: list[int], ancestors_bytes: int) -> KeptResponse:
    return KeptResponse(
        digest=response_digest(new.caller, new.response_id),
        **_owner(new.caller),
        response_id=new.response_id,
        model=new.model,
        created_at=new.created_at,
        size=new.size,
        history_bytes=ancestors_bytes + new.turn_bytes,
        ancestors=ancestors,
        items=new.items,
        response=new.response,
    )


def _owner(caller: Caller) -> Mapping[str, Any]:
    if caller.user_id is not None:
        return {"user_id": caller.user_id, "api_key_id": None}
    return {"user_id": None, "api_key_id": caller.key_id}


def _make_room(caller: Caller, row: KeptResponse) -> None:
    """Delete the caller's oldest responses if all of them take more than MAX_BYTES."""
    rows = KeptResponse._base_manager.using(database_alias()).filter(**_owner(caller))
    maximum = native_settings.RESPONSES["MAX_BYTES"]
    now = time.monotonic()
    total, read_at = _sums.get(caller.identity, (0, now))
    total = total + row.size if total else rows.aggregate(total=Sum("size"))["total"] or 0
    if total > maximum:
        total -= _delete_oldest(rows.filter(pk__lt=row.pk), total - int(maximum * FULL))
    _sums.store(caller.identity, (total, read_at), SUM_SECONDS - (now - read_at))


def _delete_oldest(rows: QuerySet[KeptResponse], size: int) -> int:
    """Delete rows of so many bytes, but not more than BATCH rows at once. Returns their bytes."""
    keys, freed = [], 0
    for key, row_size in rows.order_by("pk").values_list("pk", "size")[:BATCH]:
        keys.append(key)
        freed += row_size
        if freed >= size:
            break
    rows.filter(pk__in=keys).only("pk").delete()
    return freed


def delete(digest: UUID, created_at: datetime | None = None) -> None:
    """Delete the rows with this digest, or only the one of this moment. Raises NotThere."""
    rows = _rows().filter(digest=digest)
    if created_at is not None:
        rows = rows.filter(created_at=created_at)
    if not rows.only("pk").delete()[0]:
        raise NotThere
