"""A process that makes the tables, the user alice and her key in the database of its environment, and
prints the key.

    python -m tests.populate
"""

from __future__ import annotations

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402


def main() -> None:
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("alice", "a@b.example", "alice")
    call_command("native_key", "create", "alice", name="tests")


if __name__ == "__main__":
    main()
