"""What a request asks for -> the plan of its call: which route, which fallbacks, which
conversation, and what the caller may use.

Rules:
1. Access is checked by name for every route: the one asked for, a tier's, and each fallback's. A
   fallback that the request names and the caller may not use, or that is not there, is an error;
   one that the route names is passed over.
2. A tier is the route of that name. With a `conversation_id` it only goes up: the highest tier that
   the conversation had is remembered for a day, shared as far as there is a shared cache, and a
   lower one is then read as that. What was refused does not count, and what is refused to this key
   of a user, or gone, is passed over.
3. Conversations are each caller's own: nobody else's name for one has a say in yours.
"""

from __future__ import annotations

from collections.abc import Iterator

from native_api.access.model_access import may_use
from native_api.catalog import catalog
from native_api.exceptions import InvalidRequest, ModelNotAllowed, ModelNotFound
from native_api.routing import strategies
from native_api.routing.attempts import CallPlan
from native_api.routing.health_sync import pool, sync
from native_api.routing.route import TIERS, Route
from native_api.types import Caller, ChatRequest


async def resolve_call(chat: ChatRequest, caller: Caller) -> CallPlan:
    """`caller` is resolved (`permissions`). Raises ModelNotFound, ModelNotAllowed,
    InvalidRequest."""
    snapshot = await known_catalog()
    conversation = _conversation(chat, caller)
    route = _route(snapshot, caller, _model(chat), "tier" if chat.get("tier") else "model")
    if conversation and chat.get("tier"):
        route = await _raised(snapshot, caller, route, conversation)
    named = [
        _route(snapshot, caller, name, f"fallbacks[{place}]")
        for place, name in enumerate(chat.get("fallbacks") or ())
    ]

    def fallbacks() -> Iterator[Route]:
        return iter(named) if named else _allowed(snapshot, caller, snapshot.after(route.name))

    def context_fallbacks() -> Iterator[Route]:
        return _allowed(snapshot, caller, snapshot.after(route.name, for_longer=True))

    number = strategies.conversation_of(conversation) if conversation else None
    return CallPlan(route, fallbacks, context_fallbacks, number, snapshot.attempt_limits)


_known: list[catalog.Catalog] = []
"""The snapshot whose targets others are asked about."""


async def known_catalog() -> catalog.Catalog:
    """The present snapshot, whose targets are made known to the health's sharing."""
    snapshot = await catalog.acurrent()
    if not _known or _known[0] is not snapshot:
        pool.health.know(snapshot.names())
        _known[:] = [snapshot]
    return snapshot


def _conversation(chat: ChatRequest, caller: Caller) -> str:
    told = chat.get("conversation_id")
    return (
        f"{caller.user_id}:{'' if caller.user_id is not None else caller.key_id}:{told}"
        if told
        else ""
    )


def _model(chat: ChatRequest) -> str:
    """The name of the route that is asked for."""
    model, tier = chat.get("model") or "", chat.get("tier") or ""
    if model and tier and model != tier:
        raise InvalidRequest("tier: the request names a model too; give one of them", param="tier")
    return tier or model


async def _raised(
    snapshot: catalog.Catalog, caller: Caller, asked: Route, conversation: str
) -> Route:
    """The route of the highest tier that the conversation had, as far as it is still there for this
    caller; else the one asked for."""
    tier = TIERS.index(asked.name)
    highest = await sync.raised(conversation, tier, len(TIERS) - 1)
    higher = (
        name
        for name in reversed(TIERS[tier + 1 : highest + 1])
        if name in snapshot.routes and may_use(caller, snapshot.named(name))
    )
    return snapshot.routes.get(next(higher, ""), asked)


def _route(snapshot: catalog.Catalog, caller: Caller, name: str, param: str) -> Route:
    if not may_use(caller, snapshot.named(name)):
        raise ModelNotAllowed(f"You may not use the model {name!r}.", param=param)
    if param == "tier" and name not in snapshot.routes:
        raise ModelNotFound(f"This site has no route for the tier {name!r}.", param=param)
    try:
        return snapshot.route(name)
    except ModelNotFound as error:
        error.param = param
        raise


def _allowed(snapshot: catalog.Catalog, caller: Caller, routes: Iterator[Route]) -> Iterator[Route]:
    return (route for route in routes if may_use(caller, snapshot.named(route.name)))
