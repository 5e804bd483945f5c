"""Remote files that become inline data, and their limits."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
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
    INSIDE,
    LOOPBACK,
    NOTHING,
    PNG,
    chat_with,
    data_url,
    fetched,
    file,
    image,
    provider,
    refusal,
)


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
    parts = {"image_url": image(f"{files.url}/a.png"), "file": file(f"{files.url}/a.pdf")}
    inlined = fetched(*parts.values(), fetched_types=fetched_types)
    assert {
        kind for kind, part in zip(parts, inlined, strict=True) if part == parts[kind]
    } == fetched_types
    assert len(files.requests) == before + 2 - len(fetched_types)


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
        (image, "/slow", "in 0.5 s"),
        (image, "/drip", "in 0.5 s"),
    ],
)
def test_an_unusable_file_is_refused_without_revealing_its_content(
    files: Upstream, part: Any, path: str, reason: str
) -> None:
    assert reason in refusal(part(files.url + path))


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
    begun = time.monotonic()
    refusal(*(image(f"{files.url}/slow?{number}") for number in range(12)))
    assert time.monotonic() - begun < 3


def test_the_number_of_files_of_a_request_is_limited(files: Upstream) -> None:
    policy = RemoteFiles(max_files=3, private_networks=("127.0.0.0/8",))
    before = files.connections
    assert "at most 3" in refusal(
        *(image(f"{files.url}/a.png?{number}") for number in range(4)), policy=policy
    )
    assert files.connections == before


def test_a_failed_file_cancels_the_others(files: Upstream) -> None:
    begun = time.monotonic()
    refusal(
        image(f"{files.url}/slow"),
        image(f"{files.url}/missing"),
        policy=RemoteFiles(private_networks=("127.0.0.0/8",)),
    )
    assert time.monotonic() - begun < 3


def test_slow_files_do_not_delay_other_requests(files: Upstream) -> None:
    async def both() -> float:
        slow = asyncio.ensure_future(
            inline_files(chat_with(image(f"{files.url}/slow")), NOTHING, provider(LOOPBACK))
        )
        await asyncio.sleep(0)
        begun = time.monotonic()
        await inline_files(chat_with(image(f"{files.url}/a.png")), NOTHING, provider(LOOPBACK))
        took = time.monotonic() - begun
        await asyncio.gather(slow, return_exceptions=True)
        return took

    assert asyncio.run(both()) < 0.4


def test_hanging_look_ups_do_not_delay_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers' names are looked up in the loop's own threads, of which a small machine has six:
    none may be fetched_types."""
    look_up, gate = socket.getaddrinfo, threading.Event()
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: (
            gate.wait(60) if host == "hangs.example" else look_up(host, *rest, **more)
        ),
    )

    async def many() -> float:
        chats = [chat_with(image(f"http://hangs.example/{number}.png")) for number in range(40)]
        waiting = [
            asyncio.ensure_future(inline_files(chat, NOTHING, provider(RemoteFiles(seconds=1.5))))
            for chat in chats
        ]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        took = time.monotonic() - begun
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, UnsupportedField) for error in refused)
        return took

    assert asyncio.run(many()) < 1
    gate.set()


def test_urls_are_not_logged(files: Upstream, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        refusal(image(f"{files.url}/missing?token=hidden"))
    assert "hidden" not in caplog.text
