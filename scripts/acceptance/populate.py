"""A process that makes the tables, users and keys in a new gateway's database, and prints the keys:
python -m scripts.acceptance.populate KEY_NAME=USER[=THROTTLE_RATE] ..."""

from __future__ import annotations

import io
import json
import sys

import django


def main(wanted: list[str]) -> None:
    """Print {name of key: text of key}."""
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    keys = {}
    for description in wanted:
        name, user, *rates = description.split("=")
        User.objects.get_or_create(username=user)
        options = {"throttle_rate": rates[0]} if rates else {}
        key = io.StringIO()
        call_command("native_key", "create", user, name=name, stdout=key, **options)
        keys[name] = key.getvalue().strip()
    sys.stdout.write(json.dumps(keys))


if __name__ == "__main__":
    main(sys.argv[1:])
