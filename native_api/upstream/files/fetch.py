"""Fetches files from URLs that clients name, without letting clients reach what they should not.

Rules:
1. Public addresses only, on ports 80 and 443; any port in the site's own `private_networks`. The
   check is made on the very address that a socket is opened for, so neither a name that resolves
   differently the second time, nor another notation of an address, gets around it.
2. Redirects are followed by hand, at most `MAX_REDIRECTS`, and each is checked like a new URL.
3. Nothing of the gateway's is sent: no key, no cookie, no proxy, no netrc.
4. The bytes of all files together are limited, and counted before they are kept; nothing is
   decompressed.
5. Errors do not reveal what was found: no address, no status, nothing that distinguishes an
   internal name that exists from one that does not.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from native_api.background import executors
from native_api.types import RemoteFiles
from native_api.upstream.files.ip_policy import is_public, parse_address, unwrap_ipv4
from native_api.upstream.files.media_types import detect_media_type

MAX_REDIRECTS: Final = 3
READ_BYTES: Final = 64 * 1024
ALLOWED_PORTS: Final = frozenset({80, 443})
AMBIGUOUS_CHARACTERS: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""URL parsers disagree about these."""

MAX_LOOKUPS: Final = 16
LOOKUP_TIMEOUT_SECONDS: Final = 5.0
"""A look-up whose servers do not answer occupies a thread for as long as the system waits."""

UNREACHABLE: Final = "it could not be fetched from a public address"

_threads: Final = executors.foreign.lane(MAX_LOOKUPS)


class FetchRefused(Exception):
    """Why a file is not fetched, as text for the client."""


class FetchedFile(NamedTuple):
    media_type: str
    data: bytes


class Fetcher:
    """Fetches the files of one request. Must be closed."""

    def __init__(self, policy: RemoteFiles) -> None:
        self._policy = policy
        self._bytes_left = policy.max_bytes
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=Resolver(),
                use_dns_cache=False,
                force_close=True,
                limit=4,
                socket_factory=self._open_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": "django-native-api", "accept-encoding": "identity"},
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        await self._session.close()

    async def fetch(self, url: str) -> FetchedFile:
        """Raises FetchRefused."""
        try:
            return await self._follow(url)
        except (aiohttp.ClientError, OSError, ValueError):
            raise FetchRefused(UNREACHABLE) from None

    async def _follow(self, address: str) -> FetchedFile:
        url = self._check_url(address)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return await self._read_file(response)
                url = self._check_url(str(url.join(URL(response.headers.get("location", "")))))
        raise FetchRefused(f"it is redirected more than {MAX_REDIRECTS} times")

    def _check_url(self, text: str) -> URL:
        """The URL as it will be used. Raises FetchRefused for what shows without a look-up."""
        parts = urlsplit(text)
        if (
            parts.scheme not in ("http", "https")
            or AMBIGUOUS_CHARACTERS.search(text)
            or "@" in parts.netloc
            or "%" in parts.netloc
        ):
            raise FetchRefused("only plain http(s) addresses are fetched")
        url = URL(text)
        host = parse_address(url.raw_host or "")
        if not url.raw_host or (host is not None and not self._allows(str(host), url.port or 0)):
            raise FetchRefused("only public addresses are fetched, on ports 80 and 443")
        return url

    def _allows(self, host: str, port: int) -> bool:
        address = parse_address(host)
        if address is None:
            return False
        return self._policy.trusts(unwrap_ipv4(address)) or (
            is_public(address) and port in ALLOWED_PORTS
        )

    def _open_socket(self, info: Any) -> socket.socket:
        """Every connection goes through here."""
        family, kind, protocol, _, address = info
        if not self._allows(str(address[0]), int(address[1])):
            raise PermissionError("not a public address")
        return socket.socket(family, kind, protocol)

    async def _read_file(self, response: aiohttp.ClientResponse) -> FetchedFile:
        if (
            response.status != 200
            or response.headers.get("content-encoding", "identity") != "identity"
        ):
            raise FetchRefused(UNREACHABLE)
        if (response.content_length or 0) > self._bytes_left:
            raise self._too_large()
        data = await self._read_body(response)
        media_type = detect_media_type(response.headers.get("content-type", ""), data)
        if not media_type:
            raise FetchRefused("it is not of a type that models read")
        return FetchedFile(media_type, data)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        pieces: list[bytes] = []
        async for piece in response.content.iter_chunked(READ_BYTES):
            self._bytes_left -= len(piece)
            if self._bytes_left < 0:
                raise self._too_large()
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self) -> FetchRefused:
        return FetchRefused(
            f"the files of this request are larger than {self._policy.max_bytes} bytes"
        )


class Resolver(AbstractResolver):
    """Looks names up in a bounded number of separate threads, so that a name which hangs delays no
    other."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await _threads.run(
            LOOKUP_TIMEOUT_SECONDS, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in addresses
        ]

    async def close(self) -> None:
        pass
