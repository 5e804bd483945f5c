"""Fetches a client's http(s) images and files for providers that only take inline data. Off unless the site says otherwise.

What a client may make the gateway fetch is the danger here. Rules:
1. Public addresses only, checked on what the name resolves to, and connected to just that: no second look-up, so no
   rebinding. An address literal is checked the same way.
2. Redirects are followed by hand, at most `MAX_REDIRECTS`, each checked anew.
3. Nothing of the gateway's goes along: no key, no cookie, no proxy credentials, no netrc.
4. Size, time and type are limited; the type is the server's, and must be one that models read.
5. What went wrong is told without what was found: no address, no status line of an internal server.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from native_api.exceptions import InvalidRequest
from native_api.types import ChatRequest, Json, RemoteFiles

MAX_REDIRECTS: Final = 3
READ_BYTES: Final = 64 * 1024
TYPES: Final = ("image/", "audio/", "application/pdf", "text/plain", "text/csv", "text/markdown")
PLACES: Final = {"image_url": ("image_url", "url"), "file": ("file", "file_url")}
"""Part type -> where in it an address may stand."""


async def inlined(chat: ChatRequest, taken: frozenset[str], policy: RemoteFiles | None) -> ChatRequest:
    """The chat with every remote file in it inline, but for part types in `taken`, which the provider fetches itself.

    Gives back `chat` itself where nothing is to be done; never changes it. Raises InvalidRequest naming the place.
    """
    if policy is None or not any(_addresses(message, taken) for message in chat["messages"]):
        return chat
    async with _session(policy) as session:
        messages = [await _message(message, position, taken, policy, session) for position, message in enumerate(chat["messages"])]
    return {**chat, "messages": messages}


def _addresses(message: Mapping[str, Any], taken: frozenset[str]) -> list[tuple[int, str]]:
    """Where a message has remote files: the parts' positions and addresses."""
    content = message.get("content")
    if not isinstance(content, list):
        return []
    found = [(position, address_of(part)) for position, part in enumerate(content) if part.get("type") not in taken]
    return [(position, address) for position, address in found if address]


def address_of(part: Mapping[str, Any]) -> str:
    """The http(s) address in a part, "" where it has none."""
    member, key = PLACES.get(part.get("type", ""), ("", ""))
    address = (part.get(member) or {}).get(key) or ""
    return address if address.startswith(("http://", "https://")) else ""


async def _message(message: Any, position: int, taken: frozenset[str], policy: RemoteFiles, session: aiohttp.ClientSession) -> Any:
    addresses = dict(_addresses(message, taken))
    if not addresses:
        return message
    content = [
        await _part(part, f"messages[{position}].content[{index}]", addresses[index], policy, session) if index in addresses else part
        for index, part in enumerate(message["content"])
    ]
    return {**message, "content": content}


async def _part(part: Json, place: str, address: str, policy: RemoteFiles, session: aiohttp.ClientSession) -> Json:
    member, key = PLACES[part["type"]]
    try:
        async with asyncio.timeout(policy.seconds):
            media_type, data = await _fetched(address, policy, session)
    except (Refused, TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error) if isinstance(error, Refused) else "it could not be fetched"
        raise InvalidRequest(f"{place}.{member}.{key}: {reason}", param=f"{place}.{member}.{key}") from None
    inline = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    told = {name: value for name, value in part[member].items() if name != key}
    return {**part, member: {**told, "url" if member == "image_url" else "file_data": inline}}


class Refused(Exception):
    """Why a file is not fetched, in words for the client."""


async def _fetched(address: str, policy: RemoteFiles, session: aiohttp.ClientSession) -> tuple[str, bytes]:
    for _ in range(MAX_REDIRECTS + 1):
        _check(address, policy)
        async with session.get(address, allow_redirects=False) as response:
            if response.status in (301, 302, 303, 307, 308):
                address = urljoin(address, response.headers.get("location", ""))
                continue
            if response.status != 200:
                raise Refused("it could not be fetched")
            return _media_type(response), await _limited(response, policy.max_bytes)
    raise Refused(f"it is redirected more than {MAX_REDIRECTS} times")


def _check(address: str, policy: RemoteFiles) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Refused("only plain http(s) addresses are fetched")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not policy.allows(literal):
        raise Refused("only public addresses are fetched")


def _media_type(response: aiohttp.ClientResponse) -> str:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.startswith(TYPES):
        raise Refused("its type is not one that models read")
    return media_type


async def _limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(READ_BYTES):
        size += len(piece)
        if size > limit:
            raise Refused(f"it is larger than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; the connection is made to what this returns."""

    def __init__(self, policy: RemoteFiles) -> None:
        self._policy = policy

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        allowed = [(kind, address[0]) for kind, _, _, _, address in found if self._policy.allows(ipaddress.ip_address(address[0]))]
        if len(allowed) < len(found) or not allowed:
            raise Refused("only public addresses are fetched")
        return [
            ResolveResult(hostname=host, host=str(address), port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in allowed
        ]

    async def close(self) -> None:
        pass


def _session(policy: RemoteFiles) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(resolver=PublicResolver(policy), use_dns_cache=False, force_close=True, limit=4)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": "django-native-api", "accept-encoding": "identity"},
        auto_decompress=False,
    )
