"""Checks of the folder in which usage records wait for the database."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from native_api.conf import setting_path, usable_settings


@register("native_api")
def check_journal(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """A warning, since the user who runs `manage.py` may not be the one who runs the server."""
    configured = usable_settings.JOURNAL_DIR
    problem = _problem_of(Path(configured)) if configured else ""
    if problem:
        yield Warning(
            f"{setting_path('JOURNAL_DIR')}: {problem}. Usage records would be kept in memory, and "
            "lost if the process is killed.",
            hint="Name a folder that the user who runs the server may write.",
            id="native_api.W003",
        )


def _problem_of(folder: Path) -> str:
    """What prevents files in the folder; "" if nothing does. Makes no folder: it would belong to
    whoever runs the check."""
    try:
        existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    except OSError as error:
        return f"{str(folder)!r} cannot be examined ({error.strerror})"
    if not existing.is_dir():
        return f"{str(existing)!r} is not a folder"
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return f"{str(existing)!r} cannot be written by this user"
    return ""
