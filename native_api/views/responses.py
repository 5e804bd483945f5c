"""`v1/responses/{id}`: the responses that the gateway keeps for their callers. The endpoints that
make them are in `responses_create`."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from rest_framework.request import Request

from native_api.conf import native_settings
from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.exceptions import InvalidRequest
from native_api.gateway import kept_responses
from native_api.types import Caller
from native_api.views.base import NativeView
from native_api.views.query import read_number

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 20


class KeptResponsesView(NativeView):
    """Base of the endpoints for kept responses: 400 if the site keeps none."""

    async def get_owner(self, request: Request) -> Caller:
        """The caller, whose responses are asked for."""
        if not native_settings.RESPONSES["STORE"]:
            raise InvalidRequest(f"There are no responses to ask for: {STATE_WAY_ROUND}.")
        return await self.get_caller(request)


class ResponseView(KeptResponsesView):
    """`GET` and `DELETE v1/responses/{id}`."""

    async def get(self, request: Request, response_id: str) -> HttpResponse:
        caller = await self.get_owner(request)
        if request.query_params.get("stream", "false").lower() not in ("false", "0"):
            raise InvalidRequest(
                "stream: a kept response is only answered as a whole. Leave stream out",
                param="stream",
            )
        return self.json(await kept_responses.get(caller, response_id))

    async def delete(self, request: Request, response_id: str) -> HttpResponse:
        await kept_responses.delete(await self.get_owner(request), response_id)
        return self.json({"id": response_id, "object": "response", "deleted": True})


class ResponseInputItemsView(KeptResponsesView):
    """`GET v1/responses/{id}/input_items`."""

    async def get(self, request: Request, response_id: str) -> HttpResponse:
        caller, parameters = await self.get_owner(request), request.query_params
        order = parameters.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("order: expected asc or desc", param="order")
        limit = read_number(parameters.get("limit"), "limit", DEFAULT_LIMIT, MAX_LIMIT)
        after = parameters.get("after")
        return self.json(
            await kept_responses.list_input_items(caller, response_id, order, limit, after)
        )


class ResponseCancelView(KeptResponsesView):
    """`POST v1/responses/{id}/cancel`: 400, because nothing is made in the background."""

    async def post(self, request: Request, response_id: str) -> HttpResponse:
        await self.get_owner(request)
        raise InvalidRequest(
            "Only responses that are made in the background can be cancelled, and there are none "
            "here. Close the connection to end a response."
        )
