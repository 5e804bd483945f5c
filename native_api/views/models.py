"""`GET v1/models` and `GET v1/models/{id}`: what this caller may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from native_api import catalog
from native_api.exceptions import ModelNotFound
from native_api.permissions import may_use, resolved
from native_api.types import Json
from native_api.views.base import NativeView, caller_of


class ModelListView(NativeView):
    async def get(self, request: Request) -> HttpResponse:
        caller = await resolved(caller_of(request))
        routes = (await catalog.acurrent()).routes
        return self.json(
            {"object": "list", "data": [described(name, routes[name].targets) for name in sorted(routes) if may_use(caller, name)]}
        )


class ModelView(NativeView):
    async def get(self, request: Request, model: str) -> HttpResponse:
        if not may_use(await resolved(caller_of(request)), model):
            raise ModelNotFound(f"There is no model {model!r} here, or you may not use it.", param="model")
        return self.json(described(model, (await catalog.acurrent()).targets(model)))


def described(name: str, targets: Any) -> Json:
    """A model in OpenAI's shape; `owned_by` names the first provider that serves it."""
    return {"id": name, "object": "model", "created": 0, "owned_by": targets[0].provider.name if targets else "native"}
