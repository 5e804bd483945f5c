"""Counts the input tokens of a request, as a call of its own: with access, limits on requests and a
usage record, but without tokens or money."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from native_api.gateway.call_record import CallRecord
from native_api.gateway.calls import adding_headers, admit, reply_headers
from native_api.gateway.hooks import HookedCall
from native_api.operations import COUNT_TOKENS
from native_api.routing import token_counting
from native_api.routing.health_sync import target_pool
from native_api.types import Caller, ClientBody

ESTIMATED: Final = "x-native-estimated"


class CountReply(NamedTuple):
    """The input tokens, and the headers that describe the call."""

    input_tokens: int
    headers: dict[str, str]


async def count_tokens(
    body: Any, caller: Caller, request_id: str, client_body: ClientBody | None, endpoint: str
) -> CountReply:
    """The input tokens of this request at the target that would answer it. Raises NativeError.

    The arguments are those of `calls.call`. Of the site's hooks, `before_call` and `on_error` run.
    """
    call_record = CallRecord(body, caller, request_id, COUNT_TOKENS, endpoint)
    hooks = HookedCall(call_record, caller)
    with adding_headers(call_record), call_record:
        async with hooks:
            body, client_body = await hooks.before_call(body, client_body)
            plan, reservation = await admit(body, caller, call_record, client_body)
            count = await token_counting.count_tokens(
                body, plan, call_record.attempts, target_pool, reservation.reserve
            )
            headers = reply_headers(call_record, count.omitted)
            if count.is_estimated:
                headers[ESTIMATED] = "true"
            return CountReply(count.input_tokens, headers)
