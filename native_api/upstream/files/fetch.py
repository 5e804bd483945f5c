"""Fetches files that clients name by their address. What a client may make the gateway reach is the
danger here. Rules:

1. Public addresses only, on ports 80 and 443; any port in the site's own `private_networks`. It is
   checked on the very address that a socket is made for, so neither what a name resolves to the
   second time, nor another way to write an address, gets round it.
2. Redirects are followed by hand, at most `MAX_REDIRECTS`, each like a new address.
3. Nothing of the gateway's goes along: no key, no cookie, no proxy, no netrc.
4. The bytes of all files together are limited, and counted before they are kept; nothing is
   decompressed.
5. What went wrong is told without what was found: no address, no status, nothing that tells a name
   that exists inside from one that does not.
"""

from __future__ import annotations

import re
import socket
import threading
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from native_api.background import blocking
from native_api.types import RemoteFiles
from native_api.upstream.files.ip_policy import is_public, literal, plain
from native_api.upstream.files.media_types import media_type

MAX_REDIRECTS: Final = 3
READ_BYTES: Final = 64 * 1024
PORTS: Final = frozenset({80, 443})
SUSPECT: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters about which parsers of addresses disagree."""

MAX_LOOKUPS: Final = 32
LOOKUP_SECONDS: Final = 5.0
"""A name whose servers do not answer holds a thread for as long as the system waits for them."""

UNREACHED: Final = "it could not be fetched from a public address"

_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


class Refused(Exception):
    """Why a file is not fetched, in words for the client."""


class File(NamedTuple):
    media_type: str
    data: bytes


class Fetcher:
    """Fetches the files of one request. Close it."""

    def __init__(self, policy: RemoteFiles) -> None:
        self._policy = policy
        self._left = policy.max_bytes
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=Resolver(),
                use_dns_cache=False,
                force_close=True,
                limit=4,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "django-native-api", "accept-encoding": "identity"},
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        await self._session.close()

    async def fetch(self, address: str) -> File:
        """Raises Refused."""
        try:
            return await self._followed(address)
        except (aiohttp.ClientError, OSError, ValueError):
            raise Refused(UNREACHED) from None

    async def _followed(self, address: str) -> File:
        url = self._checked(address)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return await self._file(response)
                url = self._checked(str(url.join(URL(response.headers.get("location", "")))))
        raise Refused(f"it is redirected more than {MAX_REDIRECTS} times")

    def _checked(self, address: str) -> URL:
        """The address as it will be used. What is wrong with it at first sight is told apart from
        what is found out later."""
        parts = urlsplit(address)
        if (
            parts.scheme not in ("http", "https")
            or SUSPECT.search(address)
            or "@" in parts.netloc
            or "%" in parts.netloc
        ):
            raise Refused("only plain http(s) addresses are fetched")
        url = URL(address)
        host = literal(url.raw_host or "")
        if not url.raw_host or (host is not None and not self._allows(str(host), url.port or 0)):
            raise Refused("only public addresses are fetched, on ports 80 and 443")
        return url

    def _allows(self, host: str, port: int) -> bool:
        address = literal(host)
        if address is None:
            return False
        return self._policy.trusts(plain(address)) or (is_public(address) and port in PORTS)

    def _socket(self, info: Any) -> socket.socket:
        """The one way to a connection."""
        family, kind, protocol, _, address = info
        if not self._allows(str(address[0]), int(address[1])):
            raise PermissionError("not a public address")
        return socket.socket(family, kind, protocol)

    async def _file(self, response: aiohttp.ClientResponse) -> File:
        if (
            response.status != 200
            or response.headers.get("content-encoding", "identity") != "identity"
        ):
            raise Refused(UNREACHED)
        if (response.content_length or 0) > self._left:
            raise self._too_large()
        data = await self._read(response)
        found = media_type(response.headers.get("content-type", ""), data)
        if not found:
            raise Refused("it is not of a type that models read")
        return File(found, data)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        pieces: list[bytes] = []
        async for piece in response.content.iter_chunked(READ_BYTES):
            self._left -= len(piece)
            if self._left < 0:
                raise self._too_large()
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self) -> Refused:
        return Refused(f"the files of this request are larger than {self._policy.max_bytes} bytes")


class Resolver(AbstractResolver):
    """Looks names up in threads apart, so that names which hang hold up no other, and a bounded
    number of them."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if not _lookups.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        lookup = blocking.start(
            lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        lookup.add_done_callback(lambda _: _lookups.release())
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in await blocking.wait(lookup, LOOKUP_SECONDS)
        ]

    async def close(self) -> None:
        pass
