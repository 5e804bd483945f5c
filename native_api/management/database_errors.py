"""The base of the commands that use the database. A database that cannot be used is one sentence
that says what to do; `--traceback` shows the rest."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.management import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, ProgrammingError
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.utils import ConnectionHandler

from native_api.logs import escaped

SENTENCES: Final = (
    (
        r"no such (table|column)|(relation|column|table) .*does ?n[o']t exist|Unknown column",
        "The database lacks tables or columns of this version. Run 'manage.py migrate' first.",
    ),
    (
        r"database (table )?is locked",
        "{database} is locked by another process. Wait until that has finished, or stop it, and "
        "run this again.",
    ),
    (
        r"unable to open database file",
        "{database} cannot be opened or created. Its folder must exist, and you must be allowed to "
        "write to it.",
    ),
    (
        r"readonly database",
        "{database} cannot be written. You must be allowed to write to the file and to its folder.",
    ),
)
"""Pattern of a database's message -> the sentence instead. For any other message it is quoted."""


UNUSABLE: Final = (OperationalError, ProgrammingError, InterfaceError, MigrationSchemaMissing)


class DatabaseCommand(BaseCommand):
    """A command that uses the database."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except UNUSABLE as error:
            raise CommandError(describe_error(error)) from error


def describe_error(error: Exception) -> str:
    """What is wrong with the database, and what to do."""
    message = " ".join(str(error).split())
    for pattern, sentence in SENTENCES:
        if re.search(pattern, message, re.IGNORECASE):
            return sentence.format(database=_describe_database())
    return f"The database cannot be used: {escaped(message).rstrip('.?! ')}."


def _describe_database() -> str:
    settings = ConnectionHandler().settings[DEFAULT_DB_ALIAS]
    is_file = settings["ENGINE"].endswith("sqlite3")
    return f"The database {settings['NAME']}" if is_file else "The database"
