"""API keys from the command line. `create` and `rotate` print the key, and nothing else, on
stdout."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from native_api.access import keys
from native_api.management.tables import table
from native_api.models import ApiKey

COLUMNS: Final = ("PREFIX", "NAME", "OWNER", "CREATED", "LAST USED", "STATE")
OPTIONS: Final = {"allowed_models": "models", "expires_at": "expires"}
UNITS: Final = {"d": "days", "h": "hours"}


class Command(BaseCommand):
    help = "Create, list, revoke and rotate API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser(
            "create", help="Make a key and print it. It cannot be shown again."
        )
        create.add_argument("username")
        create.add_argument("--name", required=True, help="What the key is for.")
        create.add_argument(
            "--expires", help="In how many days (90d) or hours (12h), or an ISO date or time."
        )
        create.add_argument(
            "--models",
            default="",
            help="Comma-separated patterns of the models it may use, such as gpt-4o*; all by default.",
        )
        create.add_argument(
            "--rate", default="", help="Requests, such as 60/m; the site's rate by default."
        )
        actions.add_parser("list", help="Show the keys.").add_argument(
            "--user", help="Only this user's."
        )
        revoke = actions.add_parser(
            "revoke", help="End a key for good, everywhere within 5 seconds."
        )
        rotate = actions.add_parser(
            "rotate",
            help="Give a key a new text and prefix, and print the text. The old one stops working within 5 seconds; all else stays.",
        )
        for action in (revoke, rotate):
            action.add_argument(
                "prefix",
                help="The beginning of the key, as 'list' shows it. A part will do if only one key begins so.",
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
        owner = _user(options["username"])
        try:
            _, text = keys.create_key(
                owner,
                options["name"].strip(),
                expires_at=_moment(options["expires"]),
                allowed_models=[
                    pattern.strip() for pattern in options["models"].split(",") if pattern.strip()
                ],
                rate=options["rate"],
            )
        except ValidationError as error:
            problems = [
                f"--{OPTIONS.get(field, field)}: {' '.join(texts)}"
                for field, texts in error.message_dict.items()
            ]
            raise CommandError(" ".join(problems)) from None
        self.stdout.write(text)
        if not owner.is_active:
            self.stderr.write(
                f"{owner.get_username()} is not active: the key is refused until that changes."
            )

    def _list(self, options: dict[str, Any]) -> None:
        found = ApiKey.objects.select_related("owner")
        if options["user"]:
            found = found.filter(owner=_user(options["user"]))
        for line in table([COLUMNS, *(_row(key) for key in found)]):
            self.stdout.write(line)

    def _revoke(self, options: dict[str, Any]) -> None:
        key = _key(options["prefix"])
        ended = keys.revoke(key)
        self.stderr.write(
            f"{key.prefix} is revoked." if ended else f"{key.prefix} was revoked already."
        )

    def _rotate(self, options: dict[str, Any]) -> None:
        key = _key(options["prefix"])
        former = key.prefix
        try:
            self.stdout.write(keys.rotate(key))
        except keys.KeyEnded as error:
            raise CommandError(str(error)) from None
        self.stderr.write(f"{former} is now {key.prefix}.")


def _row(key: ApiKey) -> tuple[str, ...]:
    return (
        key.prefix,
        key.name,
        key.owner.get_username(),
        _day(key.created_at),
        _day(key.last_used_at),
        key.state,
    )


def _day(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return f"{timezone.localtime(moment) if timezone.is_aware(moment) else moment:%Y-%m-%d %H:%M}"


def _user(username: str) -> Any:
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if found is None:
        raise CommandError(f"There is no user {username!r}.")
    return found


def _key(beginning: str) -> ApiKey:
    """The key that begins so. A whole key may be given, as by someone who wants a leaked one
    ended."""
    prefix = beginning.strip()[: keys.PREFIX_LENGTH]
    found = list(ApiKey.objects.filter(prefix__startswith=prefix)[:2]) if prefix else []
    if len(found) != 1:
        raise CommandError(
            f"{prefix!r} begins {'several keys' if found else 'no key'}. 'native_key list' shows the prefixes."
        )
    return found[0]


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = _written(text)
    if moment is None:
        raise CommandError(
            f"{text!r} is not a time. Write it as 90d, 12h, 2030-01-31 or 2030-01-31T12:00:00Z."
        )
    if moment <= timezone.now():
        raise CommandError(f"{text!r} is in the past.")
    return moment


def _written(text: str) -> datetime | None:
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
