"""What is replaced in the gateway while a provider is scripted, each with its reason.

Everything else is the gateway as it runs in production: views, checks of requests, access, limits,
routing, records and costs. This module alone reaches into private parts of the other rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from typing import Any, Final
from unittest.mock import patch
from uuid import uuid4

from asgiref.sync import sync_to_async
from django_ratelimit.core import get_usage

from native_api import bounded_cache, throttling
from native_api import hooks as site_hooks
from native_api.background import cached_value, executors, site_cache
from native_api.catalog import catalog
from native_api.conf import native_settings
from native_api.gateway import calls, connection_test
from native_api.limits import counters, rules
from native_api.pricing import lookup, updates
from native_api.routing.health_sync import target_pool
from native_api.testing.calls import Call, current_call
from native_api.testing.connections import LentConnections, unless_forbidden
from native_api.testing.scripted_provider import ScriptedProvider
from native_api.testing.transport import ScriptedTransport, address_of
from native_api.types import Caller, Provider, Quirks, Secret, Target
from native_api.upstream import transport
from native_api.usage import recorder
from native_api.views import hooks

_numbers: Final = count(1)

IDLE_RECORDER: Final = {
    "backlog": 0,
    "oldest_seconds": 0.0,
    "writable": True,
    "error": None,
    "rejected": 0,
}
"""The health of a recorder with nothing to write."""


def replacements(
    provider: ScriptedProvider, connections: LentConnections
) -> Iterator[AbstractContextManager[Any]]:
    """Context managers that replace something until they exit."""
    yield from _providers(provider)
    yield from _records(provider)
    yield from _caches()
    yield from _database(connections)


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


def _records(provider: ScriptedProvider) -> Iterator[AbstractContextManager[Any]]:
    """Records stay in memory: the recorder's thread would write them into other tests."""
    yield patch.object(recorder, "record", provider.records.append)
    yield patch.object(recorder, "note_key_use", provider.key_uses.note_use)
    yield patch.object(recorder, "start", lambda: None)
    yield patch.object(recorder, "flush", lambda timeout=0.0: True)
    yield patch.object(recorder, "stop", lambda timeout=0.0: True)
    yield patch.object(recorder, "health", lambda: dict(IDLE_RECORDER))


# --- caches --------------------------------------------------------------------------------------


def _caches() -> Iterator[AbstractContextManager[Any]]:
    # A call sees what the test has just written, however it did.
    yield patch.object(cached_value, "is_fresh", lambda checked_at, max_age: False)
    yield patch.object(lookup, "ensure_ready", _load_prices_of_package)
    # Limits and throttles begin at zero, and other processes do not count with this one.
    yield patch.object(site_cache, "is_shared", lambda: False)
    yield patch.object(throttling, "get_usage", _counting_apart(uuid4().hex))


async def _load_prices_of_package() -> None:
    """Newer lists are read by a thread that nobody waits for, also when the test is over."""
    lookup.load()


def _counting_apart(test: str) -> Callable[..., Any]:
    def get_usage_in_test(request: Any, group: str, **kwargs: Any) -> Any:
        return get_usage(request, group=f"{test}.{group}", **kwargs)

    return get_usage_in_test


def forget_everything() -> None:
    """Forget what the process has learned from earlier calls."""
    bounded_cache.clear_all()
    for executor in (executors.database, executors.cache):
        executor.forget_outage()
    counters.memory_store.reset()
    lookup.forget_prices()


# --- the database --------------------------------------------------------------------------------


def _database(lent: LentConnections) -> Iterator[AbstractContextManager[Any]]:
    run_as_request = executors._run_as_request

    def run_with_lent(keep: bool, request_id: str, function: Callable[..., Any], *args: Any) -> Any:
        return run_as_request(keep, request_id, lent.lend_exclusively(function), *args)

    def to_async_with_lent(function: Callable[..., Any], **kwargs: Any) -> Any:
        return sync_to_async(lent.lend(function), **kwargs)

    def submit_with_lent(submit: Callable[..., Any]) -> Callable[..., Any]:
        return lambda function, *args: submit(lent.lend(function), *args)

    yield patch.object(executors, "_run_as_request", run_with_lent)
    yield patch.object(hooks, "sync_to_async", to_async_with_lent)
    yield patch.object(hooks, "close_old_connections", lent.close_old_connections)
    # A hook of the site may call models and wait for them, so it must not keep the others waiting.
    yield _wrapped(site_hooks._threads, "submit", submit_with_lent)
    # A test without a database has the providers, models and limits of the settings.
    for cached in (catalog._current, rules._current):
        yield _wrapped(cached, "_read", unless_forbidden)
    yield patch.object(rules._current, "_without_database", _rules_of_settings)


def _rules_of_settings() -> rules.Rules:
    return rules.Rules(tuple(map(rules.parse_rule, native_settings.LIMITS)))
