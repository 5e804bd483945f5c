"""Where the journal's files are, and how their names begin.

The directory is `NATIVE_API["JOURNAL_DIR"]`, else `native_journal` in the site's BASE_DIR, else, if
that is not writable, a directory in the temporary directory, one for each site and system user. Set
JOURNAL_DIR to a volume if the file system does not outlive the process, as in a container.

A file's name begins with a fingerprint of its database, so that records never reach another one: a
test run next to the real site, or two sites with one directory. The fingerprint depends on the
database's name only, so it stays the same when the server moves.
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


def database_alias() -> str:
    """The alias of the database that usage records are written to."""
    return router.db_for_write(UsageRecord)


def database_fingerprint() -> str:
    """Eight hexadecimal digits for that database's name."""
    name = os.path.basename(str(connections.settings[database_alias()].get("NAME") or ""))
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def directory() -> Path:
    """The journal's directory, created and writable. Raises OSError if there is none."""
    configured = usable_settings.JOURNAL_DIR
    if configured:
        return _create(Path(configured))
    base = getattr(settings, "BASE_DIR", None)
    if base:
        try:
            return _create(Path(base) / "native_journal")
        except OSError:
            pass
    return _create_temporary(base)


def _create(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{path} is not writable")
    return path


def _create_temporary(base: Any) -> Path:
    name = hashlib.sha256(f"{base or _settings_file()}\0{_user()}".encode()).hexdigest()[:16]
    path = _create(Path(tempfile.gettempdir()) / f"native_journal_{name}")
    if not _is_private(path):
        raise PermissionError(f"{path} belongs to another user, or others have access to it")
    _warn_once()
    return path


@cache
def _warn_once() -> None:
    logger.warning(
        "The usage journal is in the temporary directory. "
        'Set NATIVE_API["JOURNAL_DIR"] to a directory that is not cleared.'
    )


def _is_private(path: Path) -> bool:
    """Others could create a directory of this name first, to read records or to add some."""
    if os.name == "nt":
        return True
    status = path.lstat()
    return (
        stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    )


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")


def _settings_file() -> str:
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", None) or "")
    return str(getattr(module, "__file__", None) or "")
