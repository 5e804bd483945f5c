"""`manage.py native_quickstart`: from an empty database to a running gateway. It migrates, creates
an admin and a key, finds providers and their models, and serves.

Running it again only adds what is missing. Secrets are printed once, when they are created. The
files that it creates are accessible to their owner only, because the database and the journal
contain keys, sessions and the callers of requests. Existing files lose other users' permissions.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management import CommandError, call_command
from django.db import connections
from django.urls import NoReverseMatch, reverse

from native_api.access import keys
from native_api.catalog import catalog, plugins
from native_api.catalog.environment import (
    base_urls_without_key,
    providers_from_environment,
    read_base_url,
)
from native_api.catalog.presets import PRESETS
from native_api.catalog.providers import build_provider
from native_api.conf import native_settings
from native_api.exceptions import ConfigurationError
from native_api.management import model_lists, private_files, quickstart_report, starter_routes
from native_api.management.database_errors import DatabaseCommand
from native_api.management.model_lists import ModelList
from native_api.management.quickstart_report import StartFacts
from native_api.models import ApiKey, Provider
from native_api.types import Json
from native_api.usage.journal import location

KEY_NAME: Final = "quickstart"
ECHO: Final = "echo"
LOCAL_SECONDS: Final = 0.5

PORTS: Final = range(8000, 8020)
"""Tried in order, because a local vLLM or a running gateway may use the first one."""
MAX_PORT: Final = 65535

SHUTDOWN_SECONDS: Final = 10
"""How long open streams may continue when the server stops."""


@dataclass(frozen=True, slots=True)
class Found:
    """A provider that was found: its list, and the names of the routes to its models."""

    models: ModelList
    routes: Sequence[str]


class Command(DatabaseCommand):
    requires_system_checks = ()
    help = (
        "Set up the gateway (database, admin, API key, providers, their models, an echo model) and "
        "serve it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="Do not start the server.")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, help="The first free port from 8000 by default.")
        parser.add_argument(
            "--new-key",
            action="store_true",
            help="Replace the key of an earlier run, and print the new one.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with private_files.only_for_owner():
            port = _choose_port(options["host"], options["port"])
            self._tighten_files()
            self._set_up(**{**options, "port": port})

    def _tighten_files(self) -> None:
        for path in _private_paths():
            try:
                if private_files.tighten(path):
                    self.stdout.write(
                        f"Tightened: other users of this machine could use {path}; now only its "
                        "owner can"
                    )
            except OSError as error:
                self.stderr.write(
                    f"Other users of this machine can use {path}, and its permissions cannot be "
                    f"changed ({error.strerror})."
                )

    def _set_up(self, port: int, **options: Any) -> None:
        site = f"http://{_client_host(options['host'])}:{port}"
        base_url = f"{site}{_api_path()}"
        call_command("migrate", interactive=False, verbosity=0)
        admin, password = _find_or_create_admin()
        key, text = _find_or_create_key(admin, options["new_key"])
        found = self._add_providers()
        facts = StartFacts(
            site=site,
            base_url=base_url,
            admin_path=_admin_path(),
            admin=admin.get_username(),
            password=password,
            key_prefix=key.prefix,
            key=text,
            model=self._choose_example(found),
        )
        self._report(facts, found)
        if not options["no_serve"]:
            self._serve(options["host"], port, site)

    def _add_providers(self) -> dict[str, Found]:
        """Providers and routes for what the environment describes and what runs on this machine."""
        plugins.load()
        vendors = providers_from_environment(os.environ)
        for name, definition in vendors.items():
            # Also what is not set: a key must not go to the address of an earlier run.
            values = {"BASE_URL": "", "OPTIONS": {}, **definition}
            _add_provider(name, {setting.lower(): value for setting, value in values.items()})
        _add_provider(ECHO, {})
        catalog.forget()
        snapshot = catalog.current()
        lists = model_lists.list_models(
            snapshot.providers[name] for name in vendors if name in snapshot.providers
        )
        for name, (definition, models) in _find_local_servers().items():
            _add_provider(name, definition)
            lists[name] = models
        catalog.forget()
        return self._add_routes(lists)

    def _add_routes(self, lists: Mapping[str, ModelList]) -> dict[str, Found]:
        snapshot = catalog.current()
        starter_routes.add_routes(ECHO, [ECHO], snapshot)
        found = {
            name: Found(models, starter_routes.add_routes(name, models.models, snapshot))
            for name, models in lists.items()
        }
        catalog.forget()
        return found

    def _choose_example(self, found: Mapping[str, Found]) -> str:
        names = [name for each in found.values() for name in each.routes]
        return starter_routes.choose_example(names, catalog.current()) or ECHO

    def _report(self, facts: StartFacts, found: Mapping[str, Found]) -> None:
        snapshot = catalog.current()
        lines = [
            *quickstart_report.account_lines(facts),
            *quickstart_report.provider_lines(
                {name: each.models for name, each in found.items()}, snapshot
            ),
            *quickstart_report.missing_key_lines(base_urls_without_key(os.environ)),
            quickstart_report.model_line(snapshot),
            quickstart_report.example(facts),
        ]
        for line in lines:
            self.stdout.write(line)

    def _serve(self, host: str, port: int, site: str) -> None:
        try:
            import uvicorn
        except ImportError:
            raise CommandError(
                "Serving needs uvicorn: pip install 'django-native-api[serve]'. Or use --no-serve."
            ) from None
        self.stdout.write(f"Serving on {site}/ (Ctrl-C stops)")
        self.stdout.flush()
        uvicorn.run(
            application,
            factory=True,
            host=host,
            port=port,
            access_log=False,
            log_config=None,
            # A person has just read where it serves.
            log_level="warning" if sys.stderr.isatty() else None,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


def application() -> Any:
    """The site as an ASGI application, with the admin's static files if the site has them."""
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    from native_api.asgi import get_asgi_application

    return get_asgi_application(
        ASGIStaticFilesHandler if apps.is_installed("django.contrib.staticfiles") else None
    )


# --- files and addresses -------------------------------------------------------------------------


def _private_paths() -> Iterator[Path]:
    """The files of SQLite databases, and the journal's folder, which is created if it is
    missing. Raises CommandError."""
    for connection in connections.all():
        if connection.vendor == "sqlite" and connection.settings_dict["NAME"]:
            yield from private_files.sqlite_files(connection.settings_dict["NAME"])
    try:
        yield location.directory()
    except OSError as error:
        folder = native_settings.JOURNAL_DIR or "of the usage journal"
        raise CommandError(
            f"The folder {folder} cannot be used ({error.strerror or error}). Set JOURNAL_DIR to a "
            "folder that you may write to."
        ) from None


def _choose_port(host: str, port: int | None) -> int:
    """The port to serve on. Raises CommandError."""
    if port is not None and not 1 <= port <= MAX_PORT:
        raise CommandError(f"--port must be between 1 and {MAX_PORT}, not {port}.")
    return _free_port(host, PORTS if port is None else [port])


def _free_port(host: str, ports: Sequence[int]) -> int:
    """The first port that can be listened on. Raises CommandError."""
    for port in ports:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                return port
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not a valid host"
    raise CommandError(
        f"Cannot listen on {host}:{ports[-1]} ({reason}). Choose another --port or --host."
    )


def _client_host(host: str) -> str:
    """The host for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  only compared
    return f"[{host}]" if ":" in host else host


def _api_path() -> str:
    try:
        return reverse("native_api:chat-completions").removesuffix("/chat/completions")
    except NoReverseMatch:
        hint = 'Add path("native/", include("native_api.urls")) to ' + settings.ROOT_URLCONF
        raise CommandError(f"The app's URLs are not included. {hint}.") from None


def _admin_path() -> str:
    """The admin's path; "" if the site has no admin."""
    try:
        return reverse("admin:index")
    except NoReverseMatch:
        return ""


# --- rows ----------------------------------------------------------------------------------------


def _find_or_create_admin() -> tuple[AbstractUser, str]:
    """An active superuser, and the password if the user is new."""
    users = get_user_model()
    admins = users._default_manager.filter(is_superuser=True, is_active=True)
    admin = admins.order_by("pk").first()
    if admin is not None:
        return admin, ""
    password = secrets.token_urlsafe(12)
    name = users.USERNAME_FIELD
    value = "admin@example.com" if name == "email" else "admin"
    admin = users._default_manager.create_superuser(
        **{name: value, "password": password}, **_required_fields(users)
    )
    return admin, password


def _required_fields(users: Any) -> dict[str, str]:
    """Values for the other fields that the site's user model requires."""
    return {
        name: "admin@example.com" if "mail" in name else "admin" for name in users.REQUIRED_FIELDS
    }


def _find_or_create_key(admin: Any, replace: bool) -> tuple[ApiKey, str]:
    """The admin's key, and its text if it is new."""
    owned = ApiKey.objects.filter(owner=admin, name=KEY_NAME)
    key = next((key for key in owned if key.is_active), None)
    if key is None:
        return keys.create_key(admin, KEY_NAME)
    return key, keys.rotate(key) if replace else ""


def _add_provider(name: str, values: Json) -> None:
    if name not in native_settings.PROVIDERS:
        Provider.objects.update_or_create(name=name, defaults={"preset": name, **values})


def _find_local_servers() -> dict[str, tuple[Json, ModelList]]:
    """The servers that answer on this machine, or where their variables say, with the values of
    their rows."""
    addresses = {
        preset.name: read_base_url(preset, os.environ)
        for preset in PRESETS.values()
        if preset.probe and preset.name not in native_settings.PROVIDERS
    }
    lists = model_lists.list_models(_local_providers(addresses), LOCAL_SECONDS)
    return {
        name: ({"base_url": addresses[name]} if addresses[name] else {}, models)
        for name, models in lists.items()
        if models.models
    }


def _local_providers(addresses: Mapping[str, str]) -> Iterable[Any]:
    for name, base_url in addresses.items():
        try:
            yield build_provider(name, {"BASE_URL": base_url} if base_url else {})
        except ConfigurationError:
            continue
