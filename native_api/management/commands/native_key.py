"""`manage.py native_key`: API keys on the command line. `create` and `rotate` print the key, and
nothing else, on stdout."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from native_api.access import keys
from native_api.access.keys.text import PREFIX_LENGTH
from native_api.management.database_errors import DatabaseCommand
from native_api.management.tables import table
from native_api.models import ApiKey

COLUMNS: Final = ("PREFIX", "NAME", "OWNER", "CREATED", "LAST USED", "STATE")
OPTION_NAMES: Final = {
    "allowed_models": "models",
    "expires_at": "expires",
    "throttle_rate": "throttle-rate",
}
"""Field of ApiKey -> option of the command."""

UNITS: Final = {"d": "days", "h": "hours"}


class Command(DatabaseCommand):
    help = "Create, list, revoke and rotate API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser(
            "create", help="Create a key and print it. It cannot be shown again."
        )
        _add_create_arguments(create)
        actions.add_parser("list", help="List the keys.").add_argument(
            "--user", help="Only the keys of this user."
        )
        revoke = actions.add_parser(
            "revoke", help="End a key permanently. Every process refuses it within 5 seconds."
        )
        rotate = actions.add_parser(
            "rotate",
            help="Replace a key's text and prefix, and print the new text. The old text stops "
            "working within 5 seconds; everything else stays the same.",
        )
        for action in (revoke, rotate):
            action.add_argument(
                "prefix",
                help="The beginning of the key, as 'list' shows it. A part of it is enough if only "
                "one key starts with it.",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {
            "create": self._create,
            "list": self._list,
            "revoke": self._revoke,
            "rotate": self._rotate,
        }
        actions[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        owner = _find_user(options["username"])
        try:
            _, text = keys.create_key(
                owner,
                options["name"].strip(),
                expires_at=_parse_expiry(options["expires"]),
                allowed_models=[
                    pattern.strip() for pattern in options["models"].split(",") if pattern.strip()
                ],
                throttle_rate=options["throttle_rate"],
            )
        except ValidationError as error:
            messages = [
                f"--{OPTION_NAMES.get(field, field)}: {' '.join(texts)}"
                for field, texts in error.message_dict.items()
            ]
            raise CommandError(" ".join(messages)) from None
        self.stdout.write(text)
        if not owner.is_active:
            self.stderr.write(
                f"{owner.get_username()} is not active. The key is refused until the user is."
            )

    def _list(self, options: dict[str, Any]) -> None:
        rows = ApiKey.objects.select_related("owner")
        if options["user"]:
            rows = rows.filter(owner=_find_user(options["user"]))
        for line in table([COLUMNS, *(_row(key) for key in rows)]):
            self.stdout.write(line)

    def _revoke(self, options: dict[str, Any]) -> None:
        key = _find_key(options["prefix"])
        has_ended = keys.revoke(key)
        self.stderr.write(
            f"{key.prefix} is revoked." if has_ended else f"{key.prefix} was already revoked."
        )

    def _rotate(self, options: dict[str, Any]) -> None:
        key = _find_key(options["prefix"])
        old_prefix = key.prefix
        try:
            self.stdout.write(keys.rotate(key))
        except keys.KeyEnded as error:
            raise CommandError(str(error)) from None
        self.stderr.write(f"{old_prefix} is now {key.prefix}.")


def _add_create_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("username")
    parser.add_argument("--name", required=True, help="What the key is for.")
    parser.add_argument(
        "--expires",
        help="When the key ends: in days (90d) or hours (12h), or an ISO date or time.",
    )
    parser.add_argument(
        "--models",
        default="",
        help="Comma-separated patterns of the models that the key may use, such as gpt-4o*; "
        "all by default.",
    )
    parser.add_argument(
        "--throttle-rate",
        default="",
        help="Requests that the key may make, such as 60/m; the site's rate by default.",
    )


def _row(key: ApiKey) -> tuple[str, ...]:
    return (
        key.prefix,
        key.name,
        key.owner.get_username(),
        _format_moment(key.created_at),
        _format_moment(key.last_used_at),
        key.state,
    )


def _format_moment(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{timezone.localtime(moment) if timezone.is_aware(moment) else moment:%Y-%m-%d %H:%M}"


def _find_user(username: str) -> Any:
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if user is None:
        raise CommandError(f"There is no user {username!r}.")
    return user


def _find_key(beginning: str) -> ApiKey:
    """The key that starts with `beginning`, which may also be a whole key, such as a leaked one
    that has to be revoked."""
    prefix = beginning.strip()[:PREFIX_LENGTH]
    matches = list(ApiKey.objects.filter(prefix__startswith=prefix)[:2]) if prefix else []
    if len(matches) == 1:
        return matches[0]
    subject = "More than one key starts" if matches else "No key starts"
    raise CommandError(f"{subject} with {prefix!r}. 'native_key list' shows the prefixes.")


def _parse_expiry(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = _parse_moment(text)
    if moment is None:
        raise CommandError(
            f"{text!r} is not a valid time. Write it as 90d, 12h, 2030-01-31 or "
            "2030-01-31T12:00:00Z."
        )
    if moment <= timezone.now():
        raise CommandError(f"{text!r} is in the past.")
    return moment


def _parse_moment(text: str) -> datetime | None:
    try:
        if match := re.fullmatch(r"([0-9]+)([dh])", text):
            return timezone.now() + timedelta(**{UNITS[match[2]]: int(match[1])})
        moment = parse_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if moment is None else _in_site_time(moment)


def _in_site_time(moment: datetime) -> datetime:
    if settings.USE_TZ:
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    return timezone.make_naive(moment) if timezone.is_aware(moment) else moment
