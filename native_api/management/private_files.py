"""Files and folders that only their owner may use: databases in files, the usage journal, the
secret key. Knows no settings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
SQLITE_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


@contextmanager
def only_for_owner() -> Iterator[None]:
    """What this process makes meanwhile is its owner's alone from the first moment on. SQLite gives
    its other files the database's mode."""
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def tighten(path: Path) -> bool:
    """Take from others what they may do with `path`. True if that changed something. Raises
    OSError.

    A folder with the sticky bit, such as /tmp, is meant for all and stays as it is.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return False
    if os.name == "nt" or not mode & OTHERS or mode & stat.S_ISVTX:
        return False
    path.chmod(mode & ~OTHERS)
    return True


def sqlite_files(database: str | Path) -> list[Path]:
    """The database's file and those that SQLite keeps beside it, whether they exist or not."""
    return [Path(f"{database}{suffix}") for suffix in SQLITE_SUFFIXES]
