"""The transport of a process under test: whatever the gateway sends is answered here, in the
process. Nothing is sent anywhere."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import httpx
import orjson

from native_api.testing.calls import Attempt, current_call
from native_api.testing.scripted_provider import ScriptedProvider

SCHEME: Final = "scripted"
"""The scheme of the providers' addresses. No other transport knows it, so outside of a test such an
address cannot be called."""


def address_of(provider: str) -> str:
    """The base URL that stands for this provider."""
    return f"{SCHEME}://provider/{quote(provider, safe='')}"


class RequestOutside(AssertionError):
    """The gateway tried to send something that is not for a provider of its catalog."""


class ScriptedTransport(httpx.AsyncBaseTransport):
    """Stands in for `upstream.transport.Transport`."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self._provider = provider

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx.TransportError for a failure that has no status."""
        try:
            attempt = _read_attempt(request)  # first: what is outside may belong to no call
            call = current_call.get()
            if not call.attempts:
                self._provider.calls.append(call)
            call.attempts.append(attempt)
            answer = await self._provider.script.answer(call, attempt)
        except Exception as error:
            # The client is answered 500 without a reason, so the test is told the reason.
            self._provider.problems.append(error)
            raise
        return answer.to_response(attempt.body)


def _read_attempt(request: httpx.Request) -> Attempt:
    if request.url.scheme != SCHEME:
        raise RequestOutside(
            f"A test tried to reach {request.url.host}. native_api.testing lets nothing out."
        )
    # Not `path`, in which the slashes of a quoted name are slashes again.
    _, name, endpoint = request.url.raw_path.decode().split("/", 2)
    body = orjson.loads(request.content)
    return Attempt(
        unquote(name), str(body.get("model", "")), endpoint, body, dict(request.headers.items())
    )
