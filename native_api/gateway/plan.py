"""Resolves what a request asks for into a CallPlan: its route, fallbacks and conversation.

Rules:
1. Access is checked by name for every route: the requested one, a tier's, and each fallback's. A
   fallback of the request that the caller may not use, or that does not exist, is an error; such a
   fallback of the route is skipped.
2. A tier is the route of that name. Within a `conversation_id` a tier never goes down: the highest
   tier so far is remembered for a day (in all processes if there is a shared cache), and a later,
   lower tier is raised to it. Tiers that the caller was denied are not remembered; tiers that the
   key may not use, or that no longer exist, are skipped.
3. Conversations belong to their caller: the same id from another caller is another conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from native_api.access.model_access import may_use
from native_api.access.nearest_model import suggest_model
from native_api.catalog import catalog
from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest, ModelNotAllowed, ModelNotFound
from native_api.gateway import option_names
from native_api.routing import strategies
from native_api.routing.call_plan import CallPlan
from native_api.routing.conversation_tiers import raise_tier
from native_api.routing.health_sync import target_pool
from native_api.routing.route import TIERS, Route
from native_api.types import Caller


async def resolve_call(request: Mapping[str, Any], caller: Caller) -> CallPlan:
    """The plan of a call by a resolved caller (`model_access.resolve_caller`).

    Raises ModelNotFound, ModelNotAllowed, InvalidRequest, SettingError.
    """
    native_settings.require_valid()
    snapshot = await current_catalog()
    conversation = _conversation_key(request, caller)
    route = _find_route(
        snapshot, caller, _route_name(request), "tier" if request.get("tier") else "model"
    )
    option_names.check(request.get("provider_options") or (), snapshot, route)
    if conversation and request.get("tier"):
        route = await _raise_tier(snapshot, caller, route, conversation)
    requested = [
        _find_route(snapshot, caller, name, f"fallbacks[{index}]")
        for index, name in enumerate(request.get("fallbacks") or ())
    ]

    def fallbacks() -> Iterator[Route]:
        if requested:
            return iter(requested)
        return _filter_allowed(snapshot, caller, snapshot.fallback_routes(route.name))

    def context_fallbacks() -> Iterator[Route]:
        return _filter_allowed(
            snapshot, caller, snapshot.fallback_routes(route.name, for_long_context=True)
        )

    number = strategies.hash_conversation(conversation) if conversation else None
    return CallPlan(route, fallbacks, context_fallbacks, number, snapshot.attempt_limits)


_announced: list[catalog.Catalog] = []
"""The catalog whose targets `health` knows; empty or one."""


async def current_catalog() -> catalog.Catalog:
    """The current catalog. `health` learns of its targets, so that their state is shared."""
    snapshot = await catalog.acurrent()
    if not _announced or _announced[0] is not snapshot:
        target_pool.health.watch(snapshot.health_names())
        _announced[:] = [snapshot]
    return snapshot


def _conversation_key(request: Mapping[str, Any], caller: Caller) -> str:
    """The conversation's id, unique over all callers; "" if the request has none."""
    conversation_id = request.get("conversation_id")
    if not conversation_id:
        return ""
    key_id = "" if caller.user_id is not None else caller.key_id
    return f"{caller.user_id}:{key_id}:{conversation_id}"


def _route_name(request: Mapping[str, Any]) -> str:
    """The name of the requested route: the tier, else the model."""
    model, tier = request.get("model") or "", request.get("tier") or ""
    if model and tier and model != tier:
        raise InvalidRequest("tier: the request names a model too; give only one", param="tier")
    return tier or model


async def _raise_tier(
    snapshot: catalog.Catalog, caller: Caller, requested: Route, conversation: str
) -> Route:
    """The route of the conversation's highest tier that still exists and that the caller may use.

    Falls back to the requested route.
    """
    tier = TIERS.index(requested.name)
    highest = await raise_tier(conversation, tier, len(TIERS) - 1)
    for name in reversed(TIERS[tier + 1 : highest + 1]):
        if name in snapshot.routes and may_use(caller, snapshot.named(name)):
            return snapshot.routes[name]
    return requested


def _find_route(snapshot: catalog.Catalog, caller: Caller, name: str, param: str) -> Route:
    if not may_use(caller, snapshot.named(name)):
        raise ModelNotAllowed(
            f"You may not use the model {name!r}. GET v1/models lists the models you may use."
            f"{suggest_model(snapshot, caller, name)}",
            param=param,
        )
    if param == "tier" and name not in snapshot.routes:
        raise ModelNotFound(
            f"This site has no route for the tier {name!r}. Send a model instead: GET v1/models "
            "lists the models you may use.",
            param=param,
        )
    try:
        return snapshot.route(name)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"{error.message}{suggest_model(snapshot, caller, name)}", param=param
        ) from None


def _filter_allowed(
    snapshot: catalog.Catalog, caller: Caller, routes: Iterator[Route]
) -> Iterator[Route]:
    return (route for route in routes if may_use(caller, snapshot.named(route.name)))
