"""Files and folders that only their owner may use: SQLite databases, the usage journal and the
secret key. Uses no settings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

OTHER_USERS: Final = stat.S_IRWXG | stat.S_IRWXO
SQLITE_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


@contextmanager
def only_for_owner() -> Iterator[None]:
    """Files that this process creates in the block are accessible to their owner only, from the
    start. SQLite gives its other files the mode of the database."""
    before = os.umask(OTHER_USERS)
    try:
        yield
    finally:
        os.umask(before)


def tighten(path: Path) -> bool:
    """Remove the permissions of other users from `path`. Returns whether there were any. Raises
    OSError.

    A folder with the sticky bit, such as /tmp, is shared on purpose and stays as it is.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return False
    if os.name == "nt" or not mode & OTHER_USERS or mode & stat.S_ISVTX:
        return False
    path.chmod(mode & ~OTHER_USERS)
    return True


def sqlite_files(database: str | Path) -> list[Path]:
    """The database's file and the files that SQLite adds to it, whether they exist or not."""
    return [Path(f"{database}{suffix}") for suffix in SQLITE_SUFFIXES]
