"""Entries: their ids, and their conversion to JSON and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.models import UsageRecord
from native_api.usage.entry import INVALID_LINE_ERRORS, UsageEntry, first_id_at, new_id, time_of_id


def test_ids_are_uuid_version_7_and_increase_with_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert {each.version for each in ids} == {7}
    assert {each.variant for each in ids} == {"specified in RFC 4122"}
    assert len(set(ids)) == 1000
    assert [each.int >> 64 for each in ids] == sorted(each.int >> 64 for each in ids)


def test_the_first_id_at_a_moment_is_below_all_later_ids() -> None:
    before = datetime.now(UTC)
    identity = new_id()
    assert first_id_at(before) <= identity < first_id_at(before + timedelta(minutes=1))
    assert abs(time_of_id(identity) - before) < timedelta(minutes=1)


def test_an_entry_has_every_field_of_the_record() -> None:
    columns = {each.attname for each in UsageRecord._meta.concrete_fields}
    assert set(UsageEntry.__slots__) == columns | {"claims", "refused_by"}


def test_an_entry_is_created_when_its_id_was() -> None:
    entry = UsageEntry()
    assert entry.created_at == time_of_id(entry.id)


@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    cost=st.none() | st.decimals(0, 10**6, places=12),
    metadata=st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        st.integers(0, 2**53) | st.none(),
    ),
)
def test_json_and_back_is_the_same_entry(
    text: str, cost: Decimal | None, metadata: dict[str, Any]
) -> None:
    entry = UsageEntry(
        request_id=text,
        model=text,
        cost=cost,
        price={"INPUT": "0.15"},
        metadata=metadata,
        user_id="7f",
        ttft_ms=3,
    )
    line = entry.to_json()
    assert b"\n" not in line
    assert UsageEntry.from_json(line) == entry


class WithoutText:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "odd",
    ["\ud800", 2**70, {1: 2}, b"bytes", object(), WithoutText(), float("nan"), {"a": [{"b": {3}}]}],
)
def test_values_that_json_lacks_do_not_lose_the_record(odd: Any) -> None:
    entry = UsageEntry(request_id="r", metadata={"odd": odd})
    assert UsageEntry.from_json(entry.to_json()).id == entry.id


def test_metadata_that_contains_itself_does_not_lose_the_record() -> None:
    entry = UsageEntry()
    entry.metadata["self"] = entry.metadata
    assert UsageEntry.from_json(entry.to_json()).id == entry.id


def test_lines_of_older_and_newer_versions_are_read() -> None:
    values = orjson.loads(UsageEntry(model="m").to_json())
    del values["attempts"]
    entry = UsageEntry.from_json(orjson.dumps({**values, "of_a_later_version": 1}))
    assert (entry.model, entry.attempts) == ("m", 0)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b'{"id": 3}',
        b'{"id": "x"}',
        b'{"id":"' + b"0" * 32 + b'","cost":"x"}',
    ],
)
def test_a_line_that_is_not_an_entry_raises(line: bytes) -> None:
    with pytest.raises(INVALID_LINE_ERRORS):
        UsageEntry.from_json(line)
