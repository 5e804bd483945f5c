"""Remote files that become inline data, and their limits."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UnsupportedField
from native_api.types import RemoteFiles
from native_api.upstream.files.inline import inline_files, refuse_addresses
from native_api.upstream.files.ip_policy import is_internal
from tests.scripted_provider import Upstream
from tests.upstream.file_server import (
    FILES,
    IMPATIENT,
    INSIDE,
    LOOPBACK,
    NOTHING,
    PNG,
    chat_with,
    data_url,
    fetched,
    file,
    image,
    media,
    provider,
    refusal,
)
from tests.waiting import auntil


@pytest.mark.parametrize("path", ["/a.png", "/moved", "/called-jpeg.png", "/unnamed"])
def test_an_image_becomes_inline_data_of_its_real_type(files: Upstream, path: str) -> None:
    assert fetched(image(files.url + path)) == [image(data_url("image/png", PNG))]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/a.png", "image/png"), ("/a.pdf", "application/pdf"), ("/a.csv", "text/csv")],
)
def test_a_file_becomes_inline_data(files: Upstream, path: str, media_type: str) -> None:
    [part] = fetched(file(files.url + path))
    assert part == {
        "type": "file",
        "file": {"filename": "a", "file_data": data_url(media_type, FILES[path][0])},
    }


@pytest.mark.parametrize(
    ("kind", "path", "media_type"),
    [("video_url", "/a.mp4", "video/mp4"), ("audio_url", "/a.mp3", "audio/mpeg")],
)
def test_a_video_or_sound_becomes_inline_data(
    files: Upstream, kind: str, path: str, media_type: str
) -> None:
    inline = data_url(media_type, FILES[path][0])
    assert fetched(media(kind, files.url + path)) == [media(kind, inline)]
    assert "type" in refusal(media(kind, f"{files.url}/page"))
    assert "it is not" in refusal(media(kind, f"{files.url}/a.png"))


def test_a_file_in_a_tool_result_becomes_inline_data(files: Upstream) -> None:
    chat: Any = {
        "model": "m",
        "messages": [
            {"role": "tool", "tool_call_id": "c", "content": [image(f"{files.url}/a.png")]}
        ],
    }
    inlined = asyncio.run(inline_files(chat, NOTHING, provider(LOOPBACK)))
    assert inlined["messages"][0]["content"] == [image(data_url("image/png", PNG))]
    assert chat["messages"][0]["content"] == [image(f"{files.url}/a.png")], (
        "the client's chat was changed"
    )


def test_the_same_url_is_fetched_once(files: Upstream) -> None:
    before = len(files.requests)
    assert len(fetched(*[image(f"{files.url}/a.png")] * 5)) == 5
    assert len(files.requests) == before + 1


def test_nothing_of_the_gateway_is_sent(
    files: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://me:hidden@127.0.0.1:9")
    fetched(image(f"{files.url}/a.png"))
    assert files.requests[-1].headers.keys() == {
        "host",
        "user-agent",
        "accept-encoding",
        "accept",
        "connection",
    }


def test_it_is_off_by_default(files: Upstream) -> None:
    chat = chat_with(image(f"{files.url}/a.png"))
    assert asyncio.run(inline_files(chat, NOTHING, provider(None))) is chat


@pytest.mark.parametrize("name", DIALECTS)
def test_files_that_a_providers_api_fetches_are_left_to_it(files: Upstream, name: str) -> None:
    before = len(files.requests)
    fetched_types = DIALECTS[name].remote_files
    parts = {
        "image_url": image(f"{files.url}/a.png"),
        "video_url": media("video_url", f"{files.url}/a.mp4"),
        "audio_url": media("audio_url", f"{files.url}/a.mp3"),
        "file": file(f"{files.url}/a.pdf"),
    }
    inlined = fetched(*parts.values(), fetched_types=fetched_types)
    assert {
        kind for kind, part in zip(parts, inlined, strict=True) if part == parts[kind]
    } == fetched_types
    assert len(files.requests) == before + len(parts) - len(fetched_types)


@pytest.mark.parametrize("base_url", INSIDE)
@pytest.mark.parametrize("kind", ["video_url", "audio_url"])
def test_an_internal_provider_is_never_made_to_fetch_videos(base_url: str, kind: str) -> None:
    chat = chat_with(media(kind, "https://a.example/film"))
    with pytest.raises(UnsupportedField):
        refuse_addresses(dict(chat), chat, provider(None, base_url))


@pytest.mark.parametrize("base_url", INSIDE)
def test_an_internal_provider_is_never_made_to_fetch(files: Upstream, base_url: str) -> None:
    chat, fetched_types = chat_with(image(f"{files.url}/a.png")), frozenset({"image_url"})
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(dict(chat), chat, provider(None, base_url))
    assert caught.value.param == "messages[0].content[1].image_url.url"
    refuse_addresses(dict(chat), chat, provider(None, base_url, fetches_files=True))
    inlined: Any = asyncio.run(inline_files(chat, fetched_types, provider(LOOPBACK, base_url)))
    assert inlined["messages"][0]["content"][1] == image(data_url("image/png", PNG))
    assert (
        asyncio.run(inline_files(chat, fetched_types, provider(None, base_url, fetches_files=True)))
        is chat
    )


@pytest.mark.parametrize(
    "base_url", ["https://api.openai.com/v1", "http://8.8.8.8/v1", "https://[2606:4700::1111]/v1"]
)
def test_a_public_provider_is_not_internal(base_url: str) -> None:
    assert not is_internal(base_url)


@pytest.mark.parametrize(
    ("part", "path", "reason"),
    [
        (image, "/loop", "redirected"),
        (image, "/nowhere", "redirected"),
        (image, "/page", "type"),
        (image, "/called-image", "type"),
        (image, "/drawing", "type"),
        (image, "/a.pdf", "not an image"),
        (file, "/called-text", "type"),
        (image, "/gzip", "could not"),
        (image, "/missing", "could not"),
        (image, "/large", "larger than 1000"),
        (image, "/endless", "larger than 1000"),
        (image, "/declared-huge", "larger than 1000"),
    ],
)
def test_an_unusable_file_is_refused_without_revealing_its_content(
    files: Upstream, part: Any, path: str, reason: str
) -> None:
    assert reason in refusal(part(files.url + path))


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_file_is_waited_for_so_long_and_no_longer(files: Upstream, path: str) -> None:
    assert "in 0.5 s" in refusal(image(files.url + path), policy=IMPATIENT)


def test_the_refusal_names_the_path(files: Upstream) -> None:
    with pytest.raises(UnsupportedField) as caught:
        fetched(image(f"{files.url}/a.png"), file(f"{files.url}/missing"))
    assert caught.value.param == "messages[0].content[2].file.file_url"


def test_all_files_of_a_request_share_one_limit_of_bytes(files: Upstream) -> None:
    policy = RemoteFiles(max_bytes=3 * len(PNG), private_networks=("127.0.0.0/8",))
    assert (
        len(fetched(*(image(f"{files.url}/a.png?{number}") for number in range(3)), policy=policy))
        == 3
    )
    assert "larger" in refusal(
        *(image(f"{files.url}/a.png?{number}") for number in range(4)), policy=policy
    )


def test_all_files_of_a_request_share_one_limit_of_time(files: Upstream) -> None:
    """Four are fetched at once. None of the others is begun when these have used up the time."""
    before = files.connections
    refusal(*(image(f"{files.url}/slow?{number}") for number in range(12)), policy=IMPATIENT)
    assert files.connections - before <= 4


def test_the_number_of_files_of_a_request_is_limited(files: Upstream) -> None:
    policy = RemoteFiles(max_files=3, private_networks=("127.0.0.0/8",))
    before = files.connections
    assert "at most 3" in refusal(
        *(image(f"{files.url}/a.png?{number}") for number in range(4)), policy=policy
    )
    assert files.connections == before


def test_a_failed_file_cancels_the_others(files: Upstream) -> None:
    message = refusal(image(f"{files.url}/slow"), image(f"{files.url}/missing"))
    assert "could not be fetched from a public address" in message, "not: in 60 s"


def test_slow_files_do_not_delay_other_requests(files: Upstream) -> None:
    async def both() -> None:
        slow = asyncio.ensure_future(
            inline_files(chat_with(image(f"{files.url}/slow")), NOTHING, provider(LOOPBACK))
        )
        await asyncio.sleep(0)
        await inline_files(chat_with(image(f"{files.url}/a.png")), NOTHING, provider(LOOPBACK))
        assert not slow.done()
        slow.cancel()

    asyncio.run(both())


def test_hanging_look_ups_do_not_delay_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers' names are looked up in the loop's own threads, of which a small machine has six:
    none may be occupied."""
    look_up, gate, hanging = socket.getaddrinfo, threading.Event(), []

    def look_up_or_hang(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "hangs.example":
            return look_up(host, *rest, **more)
        hanging.append(host)
        gate.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up_or_hang)

    async def many() -> None:
        chats = [chat_with(image(f"http://hangs.example/{number}.png")) for number in range(40)]
        waiting = [
            asyncio.ensure_future(inline_files(chat, NOTHING, provider(LOOPBACK))) for chat in chats
        ]
        await auntil(lambda: len(hanging) >= 12, "the look-ups to hang")
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        assert sum(not call.done() for call in waiting) >= 12
        gate.set()
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, UnsupportedField) for error in refused)

    asyncio.run(many())


def test_urls_are_not_logged(files: Upstream, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        refusal(image(f"{files.url}/missing?token=hidden"))
    assert "hidden" not in caplog.text
