"""`GET v1/models` and `GET v1/models/{id}`: what this caller may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from native_api.access.model_access import may_use, resolve_caller
from native_api.access.nearest_model import suggest_model
from native_api.catalog import catalog
from native_api.exceptions import ModelNotFound
from native_api.types import Json
from native_api.views.base import NativeView


class ModelListView(NativeView):
    """`GET v1/models`."""

    async def get(self, request: Request) -> HttpResponse:
        caller = await resolve_caller(await self.get_caller(request))
        snapshot = await catalog.acurrent()
        usable = [name for name in sorted(snapshot.routes) if may_use(caller, snapshot.named(name))]
        return self.json(
            {
                "object": "list",
                "data": [describe_model(name, snapshot.routes[name].targets) for name in usable],
            }
        )


class ModelView(NativeView):
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
        return self.json(describe_model(model, snapshot.targets(model)))


def describe_model(name: str, targets: Any) -> Json:
    """A model in OpenAI's shape; `owned_by` names the first provider that serves it."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": targets[0].provider.name if targets else "native",
    }
