"""What a client may make the gateway fetch, and what it may not."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from native_api.engine.remote_files import inlined
from native_api.exceptions import InvalidRequest
from native_api.types import RemoteFiles
from tests.upstream import Upstream, pauses, running_upstream

PNG = b"\x89PNG not really"
LOOPBACK = RemoteFiles(max_bytes=1000, seconds=0.5, private_networks=("127.0.0.0/8", "::1/128"))


@pytest.fixture(scope="module")
def files() -> Iterator[Upstream]:
    with running_upstream() as server:
        server.script("", answer)
        yield server


async def answer(exchange: Any) -> None:
    path = exchange.received.path.removeprefix("/v1")
    if path == "/a.png":
        await exchange.whole(PNG, headers={"content-type": "image/png"})
    elif path == "/moved":
        await exchange.whole(b"", 302, {"location": "/v1/a.png"})
    elif path == "/inward":
        await exchange.whole(b"", 302, {"location": "http://169.254.169.254/latest/meta-data"})
    elif path == "/loop":
        await exchange.whole(b"", 302, {"location": "/v1/loop"})
    elif path == "/page":
        await exchange.whole(b"<html>", headers={"content-type": "text/html"})
    elif path == "/large":
        await exchange.whole(b"x" * 2000, headers={"content-type": "image/png"})
    elif path == "/slow":
        await pauses(5)(exchange)
    else:
        await exchange.whole(b"secret words", 404, {"content-type": "image/png"})


def chat_with(url: str) -> Any:
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, image(url)]}]}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def fetched(url: str, policy: RemoteFiles | None = LOOPBACK, taken: frozenset[str] = frozenset()) -> Any:
    return asyncio.run(inlined(chat_with(url), taken, policy))


def refusal(url: str, policy: RemoteFiles = LOOPBACK) -> str:
    with pytest.raises(InvalidRequest) as caught:
        fetched(url, policy)
    assert caught.value.param == "messages[0].content[1].image_url.url"
    return caught.value.message


def test_an_image_becomes_inline_data(files: Upstream) -> None:
    inline = "data:image/png;base64," + base64.b64encode(PNG).decode()
    for path in ("/a.png", "/moved"):
        assert fetched(files.url + path)["messages"][0]["content"][1] == image(inline)


def test_a_file_becomes_inline_data(files: Upstream) -> None:
    part = {"type": "file", "file": {"file_url": f"{files.url}/a.png", "filename": "a.png"}}
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    [got] = asyncio.run(inlined(chat, frozenset(), LOOPBACK))["messages"][0]["content"]
    assert got["file"] == {"filename": "a.png", "file_data": "data:image/png;base64," + base64.b64encode(PNG).decode()}
    assert chat["messages"][0]["content"] == [part]


def test_nothing_of_the_gateways_goes_along(files: Upstream) -> None:
    fetched(f"{files.url}/a.png")
    assert files.requests[-1].headers.keys() <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_nothing_is_fetched_unless_the_site_wants_it(files: Upstream) -> None:
    before = len(files.requests)
    chat = chat_with(f"{files.url}/a.png")
    assert asyncio.run(inlined(chat, frozenset(), None)) is chat
    assert asyncio.run(inlined(chat, frozenset({"image_url"}), LOOPBACK)) is chat
    assert len(files.requests) == before


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/a", "http://localhost:{port}/a", "http://[::1]:{port}/a", "http://169.254.169.254/latest", "http://10.0.0.1/",
     "http://[::ffff:127.0.0.1]:{port}/", "http://0.0.0.0:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://[fd00::1]/"],
)  # fmt: skip
def test_private_addresses_are_out_of_reach(files: Upstream, url: str) -> None:
    before = len(files.requests)
    port = files.url.rpartition(":")[2].partition("/")[0]
    refusal(url.format(port=port), RemoteFiles(seconds=1))
    assert len(files.requests) == before


def test_a_redirect_inward_is_not_followed(files: Upstream) -> None:
    assert "public" in refusal(f"{files.url}/inward")


@pytest.mark.parametrize(
    ("path", "words"),
    [("/loop", "redirected"), ("/page", "type"), ("/large", "larger than 1000"), ("/slow", "could not"), ("/missing", "could not")],
)
def test_a_file_that_is_not_right_is_refused_without_telling_what_was_found(files: Upstream, path: str, words: str) -> None:
    message = refusal(files.url + path)
    assert words in message
    assert "secret words" not in message
    assert "127.0.0.1" not in message


def test_addresses_with_credentials_are_refused() -> None:
    assert "plain" in refusal("http://user:password@example.com/a.png")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
    ],
)
def test_what_counts_as_public(address: str, allowed: bool) -> None:
    assert RemoteFiles().allows(ip_address(address)) is allowed
