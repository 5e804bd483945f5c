"""`manage.py native_quickstart`: from an empty database to a running gateway. It migrates, creates
an admin and a key, finds providers, and serves.

Running it again only adds what is missing. Secrets are printed once, when they are created. The
files that it creates are accessible to their owner only, because the database and the journal
contain keys, sessions and the callers of requests. Existing files lose other users' permissions.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections
from django.urls import NoReverseMatch, reverse

from native_api.access.keys import create_key
from native_api.catalog import catalog, plugins
from native_api.catalog.environment import providers_from_environment
from native_api.catalog.presets import PRESETS, Preset
from native_api.conf import native_settings
from native_api.management import private_files
from native_api.models import ApiKey, ModelRoute, Provider, Target
from native_api.usage.journal import location

KEY_NAME = "quickstart"
PROBE_SECONDS = 0.5

PORTS = range(8000, 8020)
"""Tried in order, because a local vLLM or a running gateway may use the first one."""

SHUTDOWN_SECONDS = 10
"""How long open streams may continue when the server stops."""


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Set up the gateway (database, admin, API key, providers, an echo model) and serve it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="Do not start the server.")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, help="The first free port from 8000 by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        with private_files.only_for_owner():
            self._tighten_files()
            self._set_up(**options)

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

    def _set_up(self, **options: Any) -> None:
        port = _free_port(options["host"], [options["port"]] if options["port"] else PORTS)
        site = f"http://{_client_host(options['host'])}:{port}"
        base_url = f"{site}{_api_path()}"
        call_command("migrate", interactive=False, verbosity=0)
        admin = self._create_admin()
        key = self._create_key(admin)
        self._add_providers()
        self._add_local_servers(asyncio.run(_find_local_servers()))
        catalog.forget()
        self._report(base_url, key)
        if not options["no_serve"]:
            self._serve(options["host"], port, site)

    def _create_admin(self) -> AbstractUser:
        users = get_user_model()
        admin = (
            users._default_manager.filter(is_superuser=True, is_active=True).order_by("pk").first()
        )
        if admin is not None:
            return admin
        password = secrets.token_urlsafe(12)
        name = users.USERNAME_FIELD
        value = "admin@example.com" if name == "email" else "admin"
        admin = users._default_manager.create_superuser(
            **{name: value, "password": password}, **_required_fields(users)
        )
        self.stdout.write(f"Admin:     user {value}, password {password} (shown once)")
        return admin

    def _create_key(self, admin: Any) -> str | None:
        """The new key's text; None if an earlier run created one."""
        if any(key.is_active for key in ApiKey.objects.filter(owner=admin, name=KEY_NAME)):
            return None
        return create_key(admin, KEY_NAME)[1]

    def _add_providers(self) -> None:
        plugins.load()
        for name, definition in providers_from_environment(os.environ).items():
            fields = {setting.lower(): value for setting, value in definition.items()}
            # Also what is not set: a key must not go to the address of an earlier run.
            self._add_provider(PRESETS[name], **{"base_url": "", "options": {}, **fields})
        self._add_provider(PRESETS["echo"])
        self._add_route("echo", "echo", "echo")

    def _add_provider(self, preset: Preset, **values: Any) -> None:
        if preset.name not in native_settings.PROVIDERS:
            Provider.objects.update_or_create(
                name=preset.name, defaults={"preset": preset.name, **values}
            )

    def _add_local_servers(self, servers: dict[str, list[str]]) -> None:
        for name, models in servers.items():
            self._add_provider(PRESETS[name])
            for model in models:
                self._add_route(model, name, model)
            self.stdout.write(
                f"Found:     {name} with {len(models)} model{'s'[: len(models) != 1]}"
            )

    def _add_route(self, name: str, provider: str, model: str) -> None:
        if name in native_settings.MODELS:
            return
        route, created = ModelRoute.objects.get_or_create(name=name)
        if created:
            Target.objects.create(route=route, provider=provider, model=model)

    def _report(self, base_url: str, key: str | None) -> None:
        snapshot = catalog.current()
        self.stdout.write(f"Providers: {', '.join(sorted(snapshot.providers))}")
        self.stdout.write(
            f"Models:    {', '.join(sorted(snapshot.routes)) or '(none)'}, and provider/model for "
            "any provider above"
        )
        if key is None:
            self.stdout.write(
                "API key:   the key of the first run still works; 'manage.py native_key rotate' "
                "replaces it."
            )
        else:
            self.stdout.write(f"API key:   {key} (shown once)")
        self.stdout.write(EXAMPLES.format(base_url=base_url, key=key or "$NATIVE_API_KEY"))

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
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


EXAMPLES = """
Try it:

  curl {base_url}/chat/completions \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

or from Python:

  from openai import OpenAI
  client = OpenAI(base_url="{base_url}", api_key="{key}")
  messages = [{{"role": "user", "content": "Hello"}}]
  for chunk in client.chat.completions.create(model="echo", messages=messages, stream=True):
      print(chunk.choices[0].delta.content or "", end="")
"""


def application() -> Any:
    """The site as an ASGI application, with the admin's static files if the site has them."""
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    from native_api.asgi import get_asgi_application

    return get_asgi_application(
        ASGIStaticFilesHandler if apps.is_installed("django.contrib.staticfiles") else None
    )


def _private_paths() -> Iterator[Path]:
    """The files of SQLite databases, and the journal's folder, which is created if it is
    missing."""
    for connection in connections.all():
        if connection.vendor == "sqlite" and connection.settings_dict["NAME"]:
            yield from private_files.sqlite_files(connection.settings_dict["NAME"])
    with suppress(OSError):
        yield location.directory()


def _free_port(host: str, ports: Sequence[int]) -> int:
    """The first port that can be listened on. Raises CommandError."""
    for port in ports:
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                return port
        except OSError as error:
            reason = error.strerror
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


def _required_fields(users: Any) -> dict[str, str]:
    """Values for the other fields that the site's user model requires."""
    return {
        name: "admin@example.com" if "mail" in name else "admin" for name in users.REQUIRED_FIELDS
    }


async def _find_local_servers() -> dict[str, list[str]]:
    """The local servers that answer on their default ports, with the models that each lists."""
    presets = [
        preset
        for preset in PRESETS.values()
        if preset.probe and preset.name not in native_settings.PROVIDERS
    ]
    async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False) as client:
        answers = await asyncio.gather(*(_list_models(client, preset) for preset in presets))
    return {preset.name: models for preset, models in zip(presets, answers, strict=True) if models}


async def _list_models(client: httpx.AsyncClient, preset: Preset) -> list[str]:
    url = preset.base_url if preset.base_url.endswith("/v1") else f"{preset.base_url}/v1"
    try:
        answer = (await client.get(f"{url}/models")).raise_for_status().json()
        return [str(model["id"])[:200] for model in answer["data"] if model.get("id")]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return []
