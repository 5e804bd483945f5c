"""From an empty database to a running gateway: migrate, an admin, a key, every provider in reach,
serve.

Running it again changes only what is missing. Secrets are printed once, when they are made. The
files that it makes are its owner's alone: the database and the journal hold keys, sessions and who
asked for what. Such files that others may use are tightened.
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
from native_api.catalog import catalog
from native_api.catalog.presets import PRESETS, Preset, providers_from_environment
from native_api.conf import native_settings
from native_api.management import private_files
from native_api.models import ApiKey, ModelRoute, Provider, Target
from native_api.usage.journal import location

KEY_NAME = "quickstart"
PROBE_SECONDS = 0.5

PORTS = range(8000, 8020)
"""Tried in order: a local vLLM, or a gateway that runs already, has the first."""

GRACE_SECONDS = 10
"""For open streams, when the server is told to stop."""


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Set up the gateway (database, admin, API key, providers, an echo model) and serve it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="Stop before serving.")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, help="The first free one from 8000 on by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        with private_files.only_for_owner():
            self._tighten_files()
            self._set_up(**options)

    def _tighten_files(self) -> None:
        for path in _private_paths():
            try:
                if private_files.tighten(path):
                    self.stdout.write(
                        f"Tightened: {path} was open to other users of this machine; now only its owner can use it"
                    )
            except OSError as error:
                self.stderr.write(
                    f"{path} is open to other users of this machine, and that cannot be changed ({error.strerror})."
                )

    def _set_up(self, **options: Any) -> None:
        port = _free_port(options["host"], [options["port"]] if options["port"] else PORTS)
        site = f"http://{_reachable(options['host'])}:{port}"
        base_url = f"{site}{_api_path()}"
        call_command("migrate", interactive=False, verbosity=0)
        admin = self._admin()
        key = self._key(admin)
        self._providers()
        self._routes(asyncio.run(_local_servers()))
        catalog.forget()
        self._report(base_url, key)
        if not options["no_serve"]:
            self._serve(options["host"], port, site)

    def _admin(self) -> AbstractUser:
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
            **{name: value, "password": password}, **_required(users)
        )
        self.stdout.write(f"Admin:     user {value}, password {password} (shown once)")
        return admin

    def _key(self, admin: Any) -> str | None:
        """The new key's text; None where an earlier run made one."""
        if any(key.is_active for key in ApiKey.objects.filter(owner=admin, name=KEY_NAME)):
            return None
        return create_key(admin, KEY_NAME)[1]

    def _providers(self) -> None:
        for name, told in providers_from_environment(os.environ).items():
            self._register(
                PRESETS[name], **{setting.lower(): value for setting, value in told.items()}
            )
        self._register(PRESETS["echo"])
        self._route("echo", "echo", "echo")

    def _register(self, preset: Preset, **values: Any) -> None:
        if preset.name not in native_settings.PROVIDERS:
            Provider.objects.update_or_create(
                name=preset.name, defaults={"preset": preset.name, **values}
            )

    def _routes(self, found: dict[str, list[str]]) -> None:
        for name, models in found.items():
            self._register(PRESETS[name])
            for model in models:
                self._route(model, name, model)
            self.stdout.write(
                f"Found:     {name} with {len(models)} model{'s'[: len(models) != 1]}"
            )

    def _route(self, name: str, provider: str, model: str) -> None:
        if name in native_settings.MODELS:
            return
        route, created = ModelRoute.objects.get_or_create(name=name)
        if created:
            Target.objects.create(route=route, provider=provider, model=model)

    def _report(self, base_url: str, key: str | None) -> None:
        ready = catalog.current()
        self.stdout.write(f"Providers: {', '.join(sorted(ready.providers))}")
        self.stdout.write(
            f"Models:    {', '.join(sorted(ready.routes)) or '(none)'}, and provider/model for any provider above"
        )
        if key is None:
            self.stdout.write(
                "API key:   the one from the first run still works; 'manage.py native_key rotate' makes a new one."
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
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


EXAMPLES = """
Try it:

  curl {base_url}/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "echo", "messages": [{{"role": "user", "content": "Hello"}}]}}'

or from Python:

  from openai import OpenAI
  client = OpenAI(base_url="{base_url}", api_key="{key}")
  for chunk in client.chat.completions.create(model="echo", messages=[{{"role": "user", "content": "Hello"}}], stream=True):
      print(chunk.choices[0].delta.content or "", end="")
"""


def application() -> Any:
    """The site as an ASGI application, with the admin's static files where the site has them."""
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    from native_api.asgi import get_asgi_application

    return get_asgi_application(
        ASGIStaticFilesHandler if apps.is_installed("django.contrib.staticfiles") else None
    )


def _private_paths() -> Iterator[Path]:
    """The files of databases in files, and the journal's folder, which is made here if it is
    missing."""
    for connection in connections.all():
        if connection.vendor == "sqlite" and connection.settings_dict["NAME"]:
            yield from private_files.sqlite_files(connection.settings_dict["NAME"])
    with suppress(OSError):
        yield location.directory()


def _free_port(host: str, ports: Sequence[int]) -> int:
    """The first that can be listened on. Raises CommandError."""
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


def _reachable(host: str) -> str:
    """An address for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared with, not listened on
    return f"[{host}]" if ":" in host else host


def _api_path() -> str:
    try:
        return reverse("native_api:chat-completions").removesuffix("/chat/completions")
    except NoReverseMatch:
        hint = 'Add path("native/", include("native_api.urls")) to ' + settings.ROOT_URLCONF
        raise CommandError(f"The app's URLs are not included. {hint}.") from None


def _required(users: Any) -> dict[str, str]:
    """Values for the fields that a site's user model demands beside name and password."""
    return {
        name: "admin@example.com" if "mail" in name else "admin" for name in users.REQUIRED_FIELDS
    }


async def _local_servers() -> dict[str, list[str]]:
    """The local servers that answer on their usual ports, and the models each lists."""
    presets = [
        preset
        for preset in PRESETS.values()
        if preset.probe and preset.name not in native_settings.PROVIDERS
    ]
    async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False) as client:
        answers = await asyncio.gather(*(_models_of(client, preset) for preset in presets))
    return {preset.name: models for preset, models in zip(presets, answers, strict=True) if models}


async def _models_of(client: httpx.AsyncClient, preset: Preset) -> list[str]:
    url = preset.base_url if preset.base_url.endswith("/v1") else f"{preset.base_url}/v1"
    try:
        answer = (await client.get(f"{url}/models")).raise_for_status().json()
        return [str(model["id"])[:200] for model in answer["data"] if model.get("id")]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return []
