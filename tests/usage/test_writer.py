"""Writing batches: each record once, bad ones returned, hooks inside the transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from native_api.models import UsageRecord
from native_api.usage import writer
from native_api.usage.entry import UsageEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def inserted() -> Iterator[list[UsageEntry]]:
    """The entries that hooks got in committed transactions."""
    committed: list[UsageEntry] = []

    def hook(entries: Sequence[UsageEntry], alias: str) -> None:
        assert UsageRecord.objects.using(alias).filter(
            pk__in=[each.id for each in entries]
        ).count() == len(entries)
        transaction.on_commit(lambda: committed.extend(entries), using=alias)

    writer.insert_hooks.append(hook)
    yield committed
    writer.insert_hooks.remove(hook)


def write(*entries: UsageEntry, may_be_written: bool = False) -> list[UsageEntry]:
    """Write, and return the rejected entries."""
    return [
        entry for entry, _error in writer.write(entries, "default", may_be_written=may_be_written)
    ]


def test_a_batch_is_written_and_passed_to_the_hooks(inserted: list[UsageEntry]) -> None:
    entries = [UsageEntry(model="m", prompt_tokens=3) for _ in range(3)]
    assert write(*entries) == []
    assert inserted == entries
    assert set(UsageRecord.objects.values_list("id", "prompt_tokens")) == {
        (each.id, 3) for each in entries
    }


@pytest.mark.parametrize("may_be_written", [True, False])
def test_records_that_exist_are_left_out(may_be_written: bool, inserted: list[UsageEntry]) -> None:
    old, new = UsageEntry(), UsageEntry()
    write(old)
    assert write(old, new, new, may_be_written=may_be_written) == []
    assert [each.id for each in inserted] == [old.id, new.id]
    assert UsageRecord.objects.count() == 2


def test_bad_entries_are_returned_and_the_others_are_written(inserted: list[UsageEntry]) -> None:
    entries = [UsageEntry() for _ in range(20)]
    bad = [UsageEntry(latency_ms=-1), UsageEntry(user_id="nobody"), UsageEntry(prompt_tokens=None)]  # type: ignore[arg-type]
    assert write(*entries[:10], *bad, *entries[10:]) == bad
    assert (
        {each.id for each in inserted}
        == {each.id for each in entries}
        == set(UsageRecord.objects.values_list("id", flat=True))
    )
    assert len(inserted) == 20


def test_deleted_users_and_keys_become_null(inserted: list[UsageEntry]) -> None:
    user = get_user_model().objects.create(username="alice")
    assert (
        write(
            UsageEntry(user_id=user.pk),
            UsageEntry(user_id=user.pk + 1, user_name="bob", api_key_id=77),
        )
        == []
    )
    assert list(UsageRecord.objects.order_by("id").values_list("user", "user_name", "api_key")) == [
        (user.pk, "", None),
        (None, "bob", None),
    ]
    assert {each.user_id for each in inserted} == {user.pk, None}


def test_a_failing_hook_rolls_back_the_batch_and_rejects_no_entry() -> None:
    def hook(entries: Sequence[UsageEntry], alias: str) -> None:
        raise ValueError

    writer.insert_hooks.append(hook)
    try:
        with pytest.raises(writer.HookFailed):
            write(UsageEntry())
    finally:
        writer.insert_hooks.remove(hook)
    assert not UsageRecord.objects.exists()
