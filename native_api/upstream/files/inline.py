"""Puts remote images and files inline, for providers that do not fetch URLs. Off unless the site
turns it on.

Rules:
1. What a provider fetches itself is left to it. But a provider in the site's own network is never
   made to fetch: the client must not choose what it reaches there, unless
   `OPTIONS["fetches_files"]` says otherwise. Remaining URLs in the body for such a provider,
   wherever they are, are refused (`dialects.shared.body_inspection`).
2. All files of a request share one limit of bytes, one of time and one of number. A URL is fetched
   once.
3. A file that cannot be fetched makes the target unsuitable; the next may fetch it itself.
How files are fetched, and from where not, is in `fetch`.
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
from native_api.upstream.files.fetch import FetchedFile, Fetcher, FetchRefused
from native_api.upstream.files.ip_policy import is_internal

URL_FIELDS: Final = {
    "image_url": ("image_url", "url"),
    "video_url": ("video_url", "url"),
    "audio_url": ("audio_url", "url"),
    "file": ("file", "file_url"),
}
"""Part type -> the path of its URL."""

NOT_EXPECTED: Final = {
    "image_url": "it is not an image",
    "video_url": "it is not a video",
    "audio_url": "it is not a sound",
}
"""Part type -> what is wrong with a file of another kind."""

MAX_FETCHING_REQUESTS: Final = 32
"""Requests of one event loop that fetch at the same time. Each may hold `max_bytes` in memory."""

_semaphores: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
    weakref.WeakKeyDictionary()
)


class FileReference(NamedTuple):
    """A URL in a chat: the indexes of its message and part, the part's type, and the URL."""

    message: int
    part: int
    kind: str
    url: str

    @property
    def path(self) -> str:
        return f"messages[{self.message}].content[{self.part}].{'.'.join(URL_FIELDS[self.kind])}"


def files_to_fetch(
    chat: ChatRequest, fetched_types: frozenset[str], provider: Provider
) -> list[FileReference]:
    """The files to fetch for this provider; none if the site does not allow it.

    `fetched_types` are the part types whose URLs the provider's API fetches itself.
    """
    if provider.remote_files is None:
        return []
    references = list(_references(chat))
    if not references or not fetches_files(provider):
        return references
    return [reference for reference in references if reference.kind not in fetched_types]


async def inline_files(
    chat: ChatRequest, fetched_types: frozenset[str], provider: Provider
) -> ChatRequest:
    """The chat with its `files_to_fetch` inline; `chat` itself if there are none. Never changes
    `chat`.

    Raises UnsupportedField that names the file's path.
    """
    references = files_to_fetch(chat, fetched_types, provider)
    if not references or provider.remote_files is None:
        return chat
    return _replace(chat, references, await _fetch_all(references, provider.remote_files))


def refuse_addresses(body: Json, chat: ChatRequest, provider: Provider) -> None:
    """Refuse URLs anywhere in a body if the provider must not be made to fetch.

    Raises UnsupportedField.
    """
    if not fetches_files(provider):
        body_inspection.refuse_urls(body, chat)


def fetches_files(provider: Provider) -> bool:
    """Whether the provider may fetch the URLs in a request: by default, unless it is in the site's
    own network."""
    return bool(provider.options.get("fetches_files", not is_internal(provider.base_url)))


def _references(chat: ChatRequest) -> Iterator[FileReference]:
    for message_index, message in enumerate(chat["messages"]):
        content = message.get("content")
        for part_index, part in enumerate(content if isinstance(content, list) else ()):
            url = remote_url(part)
            if url:
                yield FileReference(message_index, part_index, part["type"], url)


def remote_url(part: Mapping[str, Any]) -> str:
    """The http(s) URL in a part; "" if it has none."""
    member, key = URL_FIELDS.get(part.get("type", ""), ("", ""))
    url = (part.get(member) or {}).get(key) or ""
    return url if url.startswith(("http://", "https://")) else ""


# --- fetching ------------------------------------------------------------------------------------


class _FetchFailed(Exception):
    def __init__(self, reference: FileReference, reason: str) -> None:
        super().__init__(reason)
        self.reference = reference


async def _fetch_all(
    references: list[FileReference], policy: RemoteFiles
) -> dict[str, FetchedFile]:
    """URL -> file. Raises UnsupportedField."""
    if len(references) > policy.max_files:
        raise UnsupportedField(
            references[policy.max_files].path,
            f"at most {policy.max_files} files are fetched per request",
        )
    by_url = {reference.url: reference for reference in reversed(references)}
    try:
        async with asyncio.timeout(policy.seconds), _semaphore():
            return await _fetch_in_parallel(by_url, policy)
    except _FetchFailed as error:
        raise UnsupportedField(error.reference.path, str(error)) from None
    except TimeoutError:
        raise UnsupportedField(
            references[0].path,
            f"the files of this request could not be fetched in {policy.seconds:g} s",
        ) from None


def _semaphore() -> asyncio.Semaphore:
    return _semaphores.setdefault(
        asyncio.get_running_loop(), asyncio.Semaphore(MAX_FETCHING_REQUESTS)
    )


async def _fetch_in_parallel(
    by_url: dict[str, FileReference], policy: RemoteFiles
) -> dict[str, FetchedFile]:
    """The first failure cancels the others."""
    async with aclosing(Fetcher(policy)) as fetcher:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    url: group.create_task(_fetch_one(fetcher, reference))
                    for url, reference in by_url.items()
                }
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {url: task.result() for url, task in tasks.items()}


async def _fetch_one(fetcher: Fetcher, reference: FileReference) -> FetchedFile:
    try:
        file = await fetcher.fetch(reference.url)
    except FetchRefused as reason:
        raise _FetchFailed(reference, str(reason)) from None
    expected = reference.kind.removesuffix("_url")
    if reference.kind != "file" and not file.media_type.startswith(f"{expected}/"):
        raise _FetchFailed(reference, NOT_EXPECTED[reference.kind])
    return file


# --- replacing -----------------------------------------------------------------------------------


def _replace(
    chat: ChatRequest, references: list[FileReference], files: Mapping[str, FetchedFile]
) -> ChatRequest:
    messages: list[Any] = list(chat["messages"])
    for reference in references:
        message = messages[reference.message]
        content = list(message["content"])
        content[reference.part] = _inline_part(content[reference.part], files[reference.url])
        messages[reference.message] = {**message, "content": content}
    return {**chat, "messages": messages}


def _inline_part(part: Json, file: FetchedFile) -> Json:
    member, key = URL_FIELDS[part["type"]]
    others = {name: value for name, value in part[member].items() if name != key}
    data = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
    data_key = "file_data" if member == "file" else "url"
    return {**part, member: {**others, data_key: data}}
