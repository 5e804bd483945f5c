"""Sends bytes and receives bytes: httpx's API with aiohttp's connection pool underneath.

Rules:
1. One transport per event loop, made when first needed and closed with the loop, however short the
   loop's life.
2. The pool has no limit: the gateway limits concurrency, and a pool that queues would hide it.
3. Redirects are never followed and cookies never kept, so a provider's key goes nowhere else.
4. `echo:` URLs are answered in the process; every other scheme goes over the network.
5. Replies are requested uncompressed. One that is compressed nevertheless is decompressed, within
   `MAX_REPLY_BYTES`.
6. Every failure is raised as a ProviderFault without an address in its message and without its
   original error: error reports would show that error's frames, with the headers that were sent.
"""

from __future__ import annotations

import asyncio
import errno
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from functools import lru_cache
from typing import Final
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from native_api.exceptions import ProviderFault, UpstreamError, UpstreamTimeout
from native_api.upstream.decoders.compression import PIECE_BYTES, make_decompressor
from native_api.upstream.echo import EchoTransport
from native_api.upstream.faults import NO_SOCKET

MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
KEEPALIVE_SECONDS: Final = 30.0
DNS_CACHE_SECONDS: Final = 60
READ_BUFFER_BYTES: Final = 256 * 1024

LOCAL_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
"""Why this machine could not even try to connect. Too many calls at once may cause that; it says
nothing about the provider."""

_transports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Transport] = (
    weakref.WeakKeyDictionary()
)


class Transport(httpx.AsyncBaseTransport):
    """Chooses a transport by the request's URL. Made by `current_transport`."""

    def __init__(self) -> None:
        self._echo = EchoTransport()
        self._by_proxy: dict[str, AiohttpTransport] = {}
        self._by_origin: dict[tuple[str, str], httpx.AsyncBaseTransport] = {}
        self.until_loop_ends: AsyncGenerator[None, None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.host)
        transport = self._by_origin.get(origin)
        if transport is None:
            transport = self._by_origin[origin] = self._choose(*origin)
        return await transport.handle_async_request(request)

    def _choose(self, scheme: str, host: str) -> httpx.AsyncBaseTransport:
        if scheme == "echo":
            return self._echo
        proxy = proxy_for(scheme, host)
        if proxy not in self._by_proxy:
            self._by_proxy[proxy] = AiohttpTransport(
                client=_session, proxy=httpx.Proxy(proxy) if proxy else None
            )
        return self._by_proxy[proxy]

    async def aclose(self) -> None:
        for transport in self._by_proxy.values():
            await transport.aclose()


def proxy_for(scheme: str, host: str) -> str:
    """The proxy for this host by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; "" for none."""
    if proxy_bypass_environment(host):
        return ""
    proxies = getproxies_environment()
    return proxies.get(scheme) or proxies.get("all") or ""


def _session() -> aiohttp.ClientSession:
    """A session without `trust_env`, which would read ~/.netrc at every request and send what it
    finds."""
    connector = aiohttp.TCPConnector(
        limit=0, ttl_dns_cache=DNS_CACHE_SECONDS, keepalive_timeout=KEEPALIVE_SECONDS
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=READ_BUFFER_BYTES
    )


def current_transport() -> Transport:
    """The running loop's transport."""
    loop = asyncio.get_running_loop()
    transport = _transports.get(loop)
    if transport is None:
        transport = _transports[loop] = Transport()
        transport.until_loop_ends = _close_with_loop(transport)
        with suppress(StopIteration):
            # Its first step, which waits for nothing, registers the generator with the loop.
            transport.until_loop_ends.asend(None).send(None)
    return transport


async def _close_with_loop(transport: Transport) -> AsyncGenerator[None, None]:
    """Closes the transport when the generator is closed, which loops do at their end
    (`shutdown_asyncgens`)."""
    try:
        yield
    finally:
        await transport.aclose()


async def aclose() -> None:
    """Close the running loop's connections, if any. For a server that shuts down."""
    transport = _transports.pop(asyncio.get_running_loop(), None)
    if transport is not None and transport.until_loop_ends is not None:
        await transport.until_loop_ends.aclose()


async def send(
    method: str, url: str, headers: dict[str, str], content: bytes, connect_timeout: float
) -> httpx.Response:
    """Send, and wait for the reply's status and headers. Raises ProviderFault."""
    try:
        request = httpx.Request(method, _url(url), headers=headers, content=content)
        request.extensions["timeout"] = {"connect": connect_timeout}
        return await current_transport().handle_async_request(request)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise UpstreamError(
            "The provider's base URL is not a valid URL.", code="connection_failed"
        ) from None
    except ValueError:  # from httpx for non-ASCII characters, from aiohttp for line breaks
        raise UpstreamError(
            "The provider cannot be called: its key or its HEADERS contain characters that are not "
            "allowed in an HTTP header."
        ) from None
    except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
        raise fault_from_error(error) from None


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    """Parsed once: a target's URL is the same for each request."""
    return httpx.URL(text)


async def iter_body(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises ProviderFault if the connection breaks, or if the body cannot be decompressed.
    """
    decompressor = make_decompressor(response.headers.get("content-encoding", ""), MAX_REPLY_BYTES)
    try:
        async for received in response.stream:  # type: ignore[union-attr]
            if decompressor is None:
                yield received
                continue
            for piece in decompressor.feed(received):
                yield piece
                if len(piece) == PIECE_BYTES:
                    await asyncio.sleep(0)  # one read can become very many pieces
    except (httpx.HTTPError, OSError, aiohttp.ClientError) as error:
        raise fault_from_error(error) from None


async def read_body(response: httpx.Response, limit: int = MAX_REPLY_BYTES) -> bytes:
    """The whole body. Raises ProviderFault, also if it is longer than `limit` bytes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in iter_body(response):
        size += len(piece)
        if size > limit:
            raise UpstreamError("The provider's answer is too large.")
        pieces.append(piece)
    return b"".join(pieces)


def fault_from_error(error: Exception) -> ProviderFault:
    """The ProviderFault for an error of the network libraries."""
    cause = error.__cause__ or error
    if isinstance(cause, aiohttp.ConnectionTimeoutError | httpx.ConnectTimeout) and not isinstance(
        cause, aiohttp.ServerDisconnectedError
    ):
        return UpstreamTimeout("The provider could not be reached in time.", code="connect_timeout")
    if isinstance(cause, TimeoutError | httpx.TimeoutException):
        return UpstreamTimeout()
    if isinstance(cause, aiohttp.ClientPayloadError):
        return UpstreamError("The provider broke off its answer.", code="connection_lost")
    if isinstance(cause, aiohttp.ClientConnectorError) and cause.errno in LOCAL_ERRNOS:
        return UpstreamError("The gateway has no connection left for the provider.", code=NO_SOCKET)
    if isinstance(cause, aiohttp.ClientConnectorError | httpx.ConnectError):
        return UpstreamError("The provider could not be reached.", code="connection_failed")
    return UpstreamError("The connection to the provider was lost.", code="connection_lost")
