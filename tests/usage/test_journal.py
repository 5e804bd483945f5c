"""Files of the journal: complete lines are read once, wherever the file was cut."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from native_api.usage.journal import location
from native_api.usage.journal.journal import MAX_LINES_IN_MEMORY, Journal
from native_api.usage.journal.segment import Segment, add_checksum, remove_checksum


def read_all(journal: Journal) -> list[bytes]:
    """Read all lines, mark them done and remove finished files, as the recorder does."""
    lines: list[bytes] = []
    for source in journal.sources():
        while True:
            batch = source.read(3)
            source.mark_done(batch)
            lines += batch.lines
            if not batch.has_more:
                break
        journal.remove_if_done(source)
    return lines


def test_lines_are_read_once_and_in_order(journal_directory: Path) -> None:
    journal = Journal()
    for number in range(10):
        journal.append(b"%d" % number)
    assert journal.backlog() == 10
    assert read_all(journal) == [b"%d" % number for number in range(10)]
    assert read_all(journal) == []
    assert journal.backlog() == 0
    journal.release()
    assert not list(journal_directory.iterdir())


def test_files_of_dead_processes_are_adopted_and_removed_when_done(journal_directory: Path) -> None:
    dead, living = Journal(), Journal()
    dead.append(b"left over")
    living.append(b"own")
    other = Journal()
    other.sweep()
    assert other.backlog() == 0
    dead.release()
    other.sweep()
    assert other.backlog() == 1
    assert read_all(other) == [b"left over"]
    assert len(list(journal_directory.iterdir())) == 1
    living.release()


def test_an_idle_file_is_removed(journal_directory: Path) -> None:
    journal = Journal()
    journal.append(b"1")
    read_all(journal)
    for _ in range(2):
        journal.sweep()
    read_all(journal)
    assert not list(journal_directory.iterdir())
    journal.append(b"2")
    assert read_all(journal) == [b"2"]
    journal.release()


def test_a_large_file_is_retired_and_loses_nothing(
    journal_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_api.usage.journal.journal.MAX_SEGMENT_BYTES", 100)
    monkeypatch.setattr("native_api.usage.journal.journal.TIDY_SEGMENT_BYTES", 50)
    journal = Journal()
    lines = [b"%030d" % number for number in range(50)]
    for line in lines:
        journal.append(line)
    assert len(list(journal_directory.iterdir())) > 10
    assert sorted(read_all(journal)) == lines
    assert len(list(journal_directory.iterdir())) == 1
    journal.retire_mostly_written()
    read_all(journal)
    assert not list(journal_directory.iterdir())


def test_a_line_appended_just_before_a_file_is_retired_is_not_lost(journal_directory: Path) -> None:
    journal = Journal()
    journal.append(b"1")
    [current, _memory] = journal.sources()
    current.mark_done(current.read(10))
    journal.append(b"2")
    journal.retire_current()
    journal.remove_if_done(current)
    assert read_all(journal) == [b"2"]
    journal.release()


def test_a_deleted_file_is_still_read_and_a_new_one_is_created(journal_directory: Path) -> None:
    journal = Journal()
    journal.append(b"1")
    for path in journal_directory.iterdir():
        path.unlink()
    journal_directory.rmdir()
    journal.sweep()
    journal.append(b"2")
    assert len(list(journal_directory.iterdir())) == 1
    assert sorted(read_all(journal)) == [b"1", b"2"]
    journal.release()


def test_lines_of_many_threads_are_complete(journal_directory: Path) -> None:
    journal = Journal()

    def write(name: int) -> None:
        for number in range(500):
            journal.append(b"%d-%d " % (name, number) + b"x" * 300)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(read_all(journal))) == 2000
    journal.release()


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")), max_size=8),
    data=st.data(),
)
def test_a_truncated_file_yields_exactly_its_complete_lines(
    lines: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(add_checksum(line) for line in lines)
    cut = data.draw(st.integers(0, len(content)))
    ends = [
        len(b"".join(add_checksum(line) for line in lines[:number]))
        for number in range(len(lines) + 1)
    ]
    survivors = lines[: max(number for number, end in enumerate(ends) if end <= cut)]
    with tempfile.TemporaryDirectory() as name, override_settings(NATIVE_API={"JOURNAL_DIR": name}):
        (Path(name) / f"{location.database_fingerprint()}-1-a.journal").write_bytes(content[:cut])
        journal = Journal()
        journal.sweep()
        assert read_all(journal) == survivors
        assert not list(Path(name).iterdir())


@given(line=st.binary(min_size=1, max_size=40), position=st.integers(0), bit=st.integers(0, 7))
def test_a_damaged_line_is_detected(line: bytes, position: int, bit: int) -> None:
    damaged = bytearray(add_checksum(line)[:-1])
    damaged[position % len(damaged)] ^= 1 << bit
    assert remove_checksum(bytes(damaged)) is None


def test_lines_after_a_torn_line_are_not_lost(journal_directory: Path) -> None:
    journal = Journal()
    journal.append(b"1")
    [segment] = [source for source in journal.sources() if isinstance(source, Segment)]
    real, segment.descriptor = (
        segment.descriptor,
        os.open("/dev/full", os.O_WRONLY) if os.path.exists("/dev/full") else -1,
    )
    journal.append(b"2")
    os.write(real, add_checksum(b"torn")[:7])
    if segment.descriptor >= 0:
        os.close(segment.descriptor)
    segment.descriptor = real
    journal.append(b"3")
    assert sorted(read_all(journal)) == [b"1", b"2", b"3"]
    journal.release()


@pytest.fixture
def unwritable(tmp_path: Path, settings: Any) -> Path:
    (tmp_path / "file").touch()
    settings.NATIVE_API = {"JOURNAL_DIR": str(tmp_path / "file" / "journal")}
    return tmp_path


def test_without_a_directory_lines_are_kept_in_memory_and_one_error_is_logged(
    unwritable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal()
    for number in range(3):
        journal.append(b"%d" % number)
    assert journal.failure == "NotADirectoryError"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert read_all(journal) == [b"0", b"1", b"2"]


def test_lines_in_memory_move_to_a_file_when_one_can_be_written(
    unwritable: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_api.usage.journal.journal.RETRY_SECONDS", 0.0)
    journal = Journal()
    journal.append(b"1")
    settings.NATIVE_API = {"JOURNAL_DIR": str(unwritable / "journal")}
    journal.check_writable()
    assert journal.failure is None
    journal.move_memory_to_file()
    assert not journal.memory.lines
    assert read_all(journal) == [b"1"]
    journal.release()


def test_memory_is_bounded_and_further_lines_are_logged(
    unwritable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal()
    for _ in range(MAX_LINES_IN_MEMORY):
        journal.append(b"x")
    journal.append(b"the last straw")
    assert journal.backlog() == MAX_LINES_IN_MEMORY
    assert "the last straw" in caplog.records[-1].message


def test_the_directory_is_in_base_dir_else_a_private_temporary_one(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    settings.NATIVE_API = {}
    settings.BASE_DIR = tmp_path
    assert location.directory() == tmp_path / "native_journal"
    (tmp_path / "file").touch()
    settings.BASE_DIR = tmp_path / "file"
    temporary = location.directory()
    assert temporary.parent == tmp_path / "temporary"
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
    temporary.chmod(0o755)
    with pytest.raises(PermissionError):
        location.directory()


def test_journals_of_another_database_are_left_alone(journal_directory: Path) -> None:
    journal_directory.mkdir()
    foreign = journal_directory / "0badc0de-1-a.journal"
    foreign.write_bytes(add_checksum(b"foreign"))
    journal = Journal()
    journal.sweep()
    assert read_all(journal) == []
    assert foreign.exists()
