"""A client's http(s) images and files, inline for providers that take nothing else. Off unless the
site says otherwise. Rules:

1. What a provider fetches itself is left to it; but a provider in the site's own network is never
   made to fetch: what it can reach from there is not the client's to choose. Its
   `OPTIONS["fetches_files"]` says otherwise. Addresses that are left in a body for such a provider,
   wherever they stand, are refused (`dialects.shared.body_inspection`).
2. All files of a request share one limit of bytes, of time and of number, whatever their servers
   do. The same address is fetched once.
3. A file that cannot be had makes this target unsuitable; the next may fetch it itself.
How a file is fetched, and from where not: `fetching`.
"""

from __future__ import annotations

import asyncio
import base64
import weakref
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from native_api.dialects.shared import body_inspection
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json, Provider, RemoteFiles
from native_api.upstream.files.fetch import Fetcher, File, Refused
from native_api.upstream.files.ip_policy import leads_inward

PLACES: Final = {"image_url": ("image_url", "url"), "file": ("file", "file_url")}
"""Part type -> where in it an address may stand."""

MAX_REQUESTS: Final = 32
"""Requests of one event loop that fetch at the same time; each may hold `max_bytes`."""

_rooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
    weakref.WeakKeyDictionary()
)


class Remote(NamedTuple):
    """An address in a chat: in which message, in which of its parts, of which type."""

    message: int
    part: int
    kind: str
    address: str

    @property
    def place(self) -> str:
        return f"messages[{self.message}].content[{self.part}].{'.'.join(PLACES[self.kind])}"


def wanted(chat: ChatRequest, taken: frozenset[str], provider: Provider) -> list[Remote]:
    """What has to be fetched for this provider: all but part types in `taken`, which its API
    fetches itself. Nothing where sites say so."""
    if provider.remote_files is None:
        return []
    found = list(_remote(chat))
    own = taken if found and fetches_files(provider) else frozenset()
    return [remote for remote in found if remote.kind not in own]


async def inlined(chat: ChatRequest, taken: frozenset[str], provider: Provider) -> ChatRequest:
    """The chat with the files in it that are `wanted` inline.

    Gives back `chat` itself where nothing is to be done; never changes it. Raises UnsupportedField
    naming the place.
    """
    missing = wanted(chat, taken, provider)
    if not missing or provider.remote_files is None:
        return chat
    return _with(chat, missing, await _fetched(missing, provider.remote_files))


def refuse_addresses(body: Json, chat: ChatRequest, provider: Provider) -> None:
    """Refuse addresses in a body, wherever they stand, if the provider must not be made to fetch.
    Raises UnsupportedField."""
    if not fetches_files(provider):
        body_inspection.refuse_urls(body, chat)


def fetches_files(provider: Provider) -> bool:
    """Whether a provider may be left to fetch the addresses in a request: those in the site's own
    network may not."""
    return bool(provider.options.get("fetches_files", not leads_inward(provider.base_url)))


def _remote(chat: ChatRequest) -> Iterator[Remote]:
    for position, message in enumerate(chat["messages"]):
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            address = address_of(part)
            if address:
                yield Remote(position, index, part["type"], address)


def address_of(part: Mapping[str, Any]) -> str:
    """The http(s) address in a part, "" where it has none."""
    member, key = PLACES.get(part.get("type", ""), ("", ""))
    address = (part.get(member) or {}).get(key) or ""
    return address if address.startswith(("http://", "https://")) else ""


# --- fetching ----------------------------------------------------------------------------------------------


class Failed(Exception):
    def __init__(self, remote: Remote, reason: str) -> None:
        super().__init__(reason)
        self.remote = remote


async def _fetched(wanted: list[Remote], policy: RemoteFiles) -> dict[str, File]:
    """Address -> file. Raises UnsupportedField."""
    if len(wanted) > policy.max_files:
        raise UnsupportedField(
            wanted[policy.max_files].place,
            f"at most {policy.max_files} files are fetched for a request",
        )
    try:
        async with asyncio.timeout(policy.seconds), _room():
            return await _all({remote.address: remote for remote in reversed(wanted)}, policy)
    except Failed as failed:
        raise UnsupportedField(failed.remote.place, str(failed)) from None
    except TimeoutError:
        raise UnsupportedField(
            wanted[0].place,
            f"the files of this request could not be fetched in {policy.seconds:g} s",
        ) from None


def _room() -> asyncio.Semaphore:
    return _rooms.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MAX_REQUESTS))


async def _all(wanted: dict[str, Remote], policy: RemoteFiles) -> dict[str, File]:
    """All at once; the first that fails ends the others."""
    async with aclosing(Fetcher(policy)) as fetcher:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    address: group.create_task(_one(fetcher, remote))
                    for address, remote in wanted.items()
                }
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {address: task.result() for address, task in tasks.items()}


async def _one(fetcher: Fetcher, remote: Remote) -> File:
    try:
        file = await fetcher.fetch(remote.address)
    except Refused as reason:
        raise Failed(remote, str(reason)) from None
    if remote.kind == "image_url" and not file.media_type.startswith("image/"):
        raise Failed(remote, "it is no image")
    return file


# --- putting them in ---------------------------------------------------------------------------------------


def _with(chat: ChatRequest, wanted: list[Remote], files: Mapping[str, File]) -> ChatRequest:
    messages: list[Any] = list(chat["messages"])
    for remote in wanted:
        message = messages[remote.message]
        content = list(message["content"])
        content[remote.part] = _inline(content[remote.part], files[remote.address])
        messages[remote.message] = {**message, "content": content}
    return {**chat, "messages": messages}


def _inline(part: Json, file: File) -> Json:
    member, key = PLACES[part["type"]]
    told = {name: value for name, value in part[member].items() if name != key}
    data = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
    return {**part, member: {**told, "url" if member == "image_url" else "file_data": data}}
