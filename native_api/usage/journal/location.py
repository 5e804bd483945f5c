"""Where the journal's files lie, and how they are named.

`NATIVE_API["JOURNAL_DIR"]`, else `native_journal` in the site's BASE_DIR, else, where that cannot
be written, a folder of the site and the system user in the temporary directory. Set JOURNAL_DIR to
a volume where the file system does not outlive the process, such as in a container.

A file's name begins with a mark of its database, so that records never end up in another one: a
test run beside the real site, or two sites with one folder. The mark is made of the database's name
alone: it stays when the server moves.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections, router

from native_api.conf import usable_settings
from native_api.logs import get_logger
from native_api.models import UsageRecord

logger = get_logger("native_api.usage")


def database() -> str:
    """The alias of the database that usage records are written to."""
    return router.db_for_write(UsageRecord)


def mark() -> str:
    name = os.path.basename(str(connections.settings[database()].get("NAME") or ""))
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def find() -> Path:
    """The folder, which exists and can be written when this returns. Raises OSError where there is
    none."""
    chosen = usable_settings.JOURNAL_DIR
    if chosen:
        return _prepared(Path(chosen))
    base = getattr(settings, "BASE_DIR", None)
    if base:
        try:
            return _prepared(Path(base) / "native_journal")
        except OSError:
            pass
    return _temporary(base)


def _prepared(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written")
    return folder


def _temporary(base: Any) -> Path:
    name = hashlib.sha256(f"{base or _settings_file()}\0{_user()}".encode()).hexdigest()[:16]
    folder = _prepared(Path(tempfile.gettempdir()) / f"native_journal_{name}")
    if not _is_private(folder):
        raise PermissionError(f"{folder} belongs to someone else")
    _warn()
    return folder


@cache
def _warn() -> None:
    logger.warning(
        'The usage journal lies in the temporary directory. Set NATIVE_API["JOURNAL_DIR"] to a folder that lasts.'
    )


def _is_private(folder: Path) -> bool:
    """Anyone may make a folder of this name in the temporary directory first, to read along or to
    add records."""
    if os.name == "nt":
        return True
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")


def _settings_file() -> str:
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", None) or "")
    return str(getattr(module, "__file__", None) or "")
