"""What is replaced in the gateway while a provider is scripted, each with its reason.

Everything else is the gateway as it runs in Django's test environment
(`background.test_environment`): views, checks of requests, access, limits, routing, records and
costs. This module alone reaches into private parts of the other rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from typing import Any, Final
from unittest.mock import patch

from native_api.catalog import catalog
from native_api.gateway import calls, connection_test
from native_api.pricing import updates
from native_api.routing.health_sync import target_pool
from native_api.testing.calls import Call, current_call
from native_api.testing.scripted_provider import ScriptedProvider
from native_api.testing.transport import ScriptedTransport, address_of
from native_api.types import Caller, Provider, Quirks, Secret, Target
from native_api.upstream import transport
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry

RecordEntry = Callable[[UsageEntry], None]

_numbers: Final = count(1)


def replacements(provider: ScriptedProvider) -> Iterator[AbstractContextManager[Any]]:
    """Context managers that replace something until they exit."""
    yield from _providers(provider)
    yield _wrapped(recorder, "record", _keeping(provider.records))


def _wrapped(owner: Any, name: str, wrap: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """Replace a function by what `wrap` makes of it."""
    return patch.object(owner, name, wrap(getattr(owner, name)))


# --- providers -----------------------------------------------------------------------------------


def _providers(provider: ScriptedProvider) -> Iterator[AbstractContextManager[Any]]:
    # Nothing leaves the process.
    scripted = ScriptedTransport(provider)
    yield patch.object(transport, "current_transport", lambda: scripted)
    yield patch.object(updates, "fetch", _refuse_update)
    # Every provider of settings and rows speaks OpenAI's wire to it, without a key.
    yield _wrapped(catalog, "build_usable_provider", _scripted)
    # A retry does not wait, and a failure does not decide what happens to the next call.
    yield patch.object(target_pool, "sleep", _do_not_sleep)
    yield patch.object(target_pool.health, "record_failure", lambda *failure: None)
    # Attempts know which call they belong to.
    yield _wrapped(calls, "resolve_call", _noting_call)
    yield _wrapped(connection_test, "_call_target", _noting_probe)


BuildProvider = Callable[..., Provider | None]


def _scripted(build: BuildProvider) -> BuildProvider:
    """The identity is a new one, so that nothing is known of the provider's health."""

    def build_scripted(
        name: str, definition: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> Provider | None:
        without_key = {**definition, "API_KEY": "scripted", "AUTH": "none"}
        built = build(name, without_key, *args, **kwargs)
        return built and replace(
            built,
            dialect="openai",
            base_url=address_of(name),
            api_key=Secret(""),
            quirks=Quirks(),
            options={"fetches_files": True},  # files named by a URL are left to the provider
            remote_files=None,
            identity=f"{name}@{next(_numbers)}",
        )

    return build_scripted


def _refuse_update(url: str) -> str:
    raise updates.UpdateFailed("native_api.testing lets nothing out: prices are not fetched.")


async def _do_not_sleep(seconds: float) -> None:
    pass


def _noting_call(resolve: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def resolve_and_note(body: Mapping[str, Any], caller: Caller) -> Any:
        plan = await resolve(body, caller)
        current_call.set(Call(body.get("model") or body.get("tier") or "", caller))
        return plan

    return resolve_and_note


def _noting_probe(call_target: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A probe, as `native_check` sends it, is a call of nobody."""

    async def note_and_call(chat: Any, target: Target, *args: Any) -> Any:
        current_call.set(Call(str(target), Caller()))
        return await call_target(chat, target, *args)

    return note_and_call


# --- records -------------------------------------------------------------------------------------


def _keeping(records: list[UsageEntry]) -> Callable[[RecordEntry], RecordEntry]:
    """Tests look at the records, also if they may not use the database."""

    def wrap(record: RecordEntry) -> RecordEntry:
        def record_and_keep(entry: UsageEntry) -> None:
            records.append(entry)
            record(entry)

        return record_and_keep

    return wrap
