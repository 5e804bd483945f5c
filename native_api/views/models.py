"""`GET v1/models` and `GET v1/models/{id}`: what this caller may use, in the shape of the API that
the client speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from native_api.access.model_access import may_use, resolve_caller
from native_api.access.nearest_model import suggest_model
from native_api.catalog import catalog
from native_api.exceptions import InvalidRequest, ModelNotFound
from native_api.inbound.base import InboundFormat
from native_api.types import Json
from native_api.views.base import NativeView
from native_api.views.private_api import django_request
from native_api.views.query import read_number
from native_api.views.spoken_formats import ANTHROPIC, ANTHROPIC_HEADER, OPENAI

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
"""Anthropic's: https://platform.claude.com/docs/en/api/models-list (read 2026-11)."""

UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
"""What Anthropic itself sends if it does not know when a model was released."""


class ModelsView(NativeView):
    """Base of both endpoints. Clients of Anthropic's API name its version in a header."""

    def spoken_format(self) -> InboundFormat:
        request: HttpRequest = django_request(self.request)
        return ANTHROPIC if ANTHROPIC_HEADER in request.headers else OPENAI


class ModelListView(ModelsView):
    """`GET v1/models`."""

    async def get(self, request: Request) -> HttpResponse:
        caller = await resolve_caller(await self.get_caller(request))
        snapshot = await catalog.acurrent()
        usable = [name for name in snapshot.model_names if may_use(caller, snapshot.named(name))]
        if self.spoken_format() is ANTHROPIC:
            return self.json(list_for_anthropic(usable, request.query_params))
        return self.json(
            {
                "object": "list",
                "data": [describe_model(name, snapshot.targets(name)) for name in usable],
            }
        )


class ModelView(ModelsView):
    """`GET v1/models/{id}`."""

    async def get(self, request: Request, model: str) -> HttpResponse:
        snapshot = await catalog.acurrent()
        caller = await resolve_caller(await self.get_caller(request))
        if not (may_use(caller, snapshot.named(model)) and snapshot.has_model(model)):
            raise ModelNotFound(
                f"There is no model {model!r} here, or you may not use it. GET v1/models lists the "
                f"models you may use.{suggest_model(snapshot, caller, model)}",
                param="model",
            )
        if self.spoken_format() is ANTHROPIC:
            return self.json(describe_for_anthropic(model))
        return self.json(describe_model(model, snapshot.targets(model)))


def describe_model(name: str, targets: Any) -> Json:
    """A model in OpenAI's shape; `owned_by` names the first provider that serves it."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": targets[0].provider.name if targets else "native",
    }


# --- Anthropic's shape ---------------------------------------------------------------------------


def describe_for_anthropic(name: str) -> Json:
    """A model in Anthropic's shape (`ModelInfo` of anthropic-python 2.14, read 2026-11)."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": UNKNOWN_DATE,
        "lifecycle": "active",
    }


def list_for_anthropic(names: Sequence[str], parameters: Any) -> Json:
    """A page of these models, for the query parameters `limit`, `after_id` and `before_id`.

    Raises InvalidRequest.
    """
    limit = read_number(parameters.get("limit"), "limit", DEFAULT_LIMIT, MAX_LIMIT)
    after, before = parameters.get("after_id"), parameters.get("before_id")
    if after and before:
        raise InvalidRequest("before_id: give after_id or before_id, not both", param="before_id")
    if before:
        earlier = names[: _find(names, before, "before_id")]
        page, rest = earlier[-limit:], earlier[:-limit]
    else:
        later = names[_find(names, after, "after_id") + 1 :] if after else names
        page, rest = later[:limit], later[limit:]
    return {
        "data": [describe_for_anthropic(name) for name in page],
        "has_more": bool(rest),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _find(names: Sequence[str], name: str, parameter: str) -> int:
    if name not in names:
        raise InvalidRequest(f"{parameter}: there is no such model", param=parameter)
    return names.index(name)
