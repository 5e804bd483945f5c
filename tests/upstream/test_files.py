"""What a client may make the gateway fetch, and what it may not."""

from __future__ import annotations

import asyncio
import base64
import gzip
import logging
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, RemoteFiles
from native_api.upstream.files.inline import inline_files, refuse_addresses
from native_api.upstream.files.ip_policy import is_internal, is_public
from tests.scripted_provider import Upstream, running_upstream, stalls

PNG = b"\x89PNG\r\n\x1a\n not really"
LOOPBACK = RemoteFiles(max_bytes=1000, seconds=0.5, private_networks=("127.0.0.0/8", "::1/128"))
NOBODY_INSIDE = RemoteFiles(seconds=1)
NOTHING: frozenset[str] = frozenset()

FILES: dict[str, tuple[bytes, str]] = {
    "/a.png": (PNG, "image/png"),
    "/called-jpeg.png": (PNG, "image/jpeg"),
    "/unnamed": (PNG, "application/octet-stream"),
    "/a.pdf": (b"%PDF-1.7 not really", "application/pdf"),
    "/a.csv": ("häuser,3\n".encode(), "text/csv; charset=utf-8"),
    "/page": (b"<html>", "text/html"),
    "/called-image": (b"<html>secret words</html>", "image/png"),
    "/called-text": (b"\xff\xfe\x00secret words", "text/plain"),
    "/drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    "/large": (PNG + b"x" * 2000, "image/png"),
}


@pytest.fixture(scope="module")
def files() -> Iterator[Upstream]:
    with running_upstream() as server:
        server.script("", answer)
        yield server


async def answer(exchange: Any) -> None:
    path = exchange.received.path.removeprefix("/v1").partition("?")[0]
    redirects = {
        "/moved": "/v1/a.png",
        "/inward": "http://169.254.169.254/latest/meta-data",
        "/to-file": "file:///etc/passwd",
        "/to-user": "http://me:hidden@127.0.0.1/",
        "/loop": "/v1/loop",
        "/nowhere": "",
    }
    if path in FILES:
        data, media_type = FILES[path]
        await exchange.whole(data, headers={"content-type": media_type})
    elif path in redirects:
        await exchange.whole(b"", 302, {"location": redirects[path]})
    elif path == "/gzip":
        await exchange.whole(
            gzip.compress(PNG * 10_000),
            headers={"content-type": "image/png", "content-encoding": "gzip"},
        )
    elif path == "/endless":
        await exchange.head(200, {"content-type": "image/png"})
        while True:
            await exchange.send(PNG)
    elif path == "/drip":
        await exchange.head(200, {"content-type": "image/png"})
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.05)
    elif path == "/slow":
        await stalls(exchange)
    elif path == "/declared-huge":
        await exchange.head(200, {"content-type": "image/png", "content-length": str(10**12)})
        await stalls(exchange)
    else:
        await exchange.whole(b"secret words", 404, {"content-type": "image/png"})


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def file(url: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_url": url, "filename": "a"}}


def chat_with(*parts: dict[str, Any]) -> Any:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}],
    }


def provider(
    policy: RemoteFiles | None, base_url: str = "https://api.example", **options: Any
) -> Provider:
    return Provider("p", "openai", base_url, options=options, remote_files=policy)


def fetched(
    *parts: dict[str, Any], policy: RemoteFiles | None = LOOPBACK, taken: frozenset[str] = NOTHING
) -> Any:
    return asyncio.run(inline_files(chat_with(*parts), taken, provider(policy)))["messages"][0][
        "content"
    ][1:]


def refusal(*parts: dict[str, Any], policy: RemoteFiles = LOOPBACK) -> str:
    with pytest.raises(UnsupportedField) as caught:
        fetched(*parts, policy=policy)
    message = caught.value.message
    for hidden in ("secret words", "127.0.0.1", "169.254", "404", "hidden"):
        assert hidden not in message
    return message


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


# --- what is fetched -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/a.png", "/moved", "/called-jpeg.png", "/unnamed"])
def test_an_image_becomes_inline_data_of_the_type_that_it_is(files: Upstream, path: str) -> None:
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


def test_a_file_in_a_tools_result_too(files: Upstream) -> None:
    chat: Any = {
        "model": "m",
        "messages": [
            {"role": "tool", "tool_call_id": "c", "content": [image(f"{files.url}/a.png")]}
        ],
    }
    told = asyncio.run(inline_files(chat, NOTHING, provider(LOOPBACK)))
    assert told["messages"][0]["content"] == [image(data_url("image/png", PNG))]
    assert chat["messages"][0]["content"] == [image(f"{files.url}/a.png")], (
        "the client's chat was changed"
    )


def test_the_same_address_is_fetched_once(files: Upstream) -> None:
    before = len(files.requests)
    assert len(fetched(*[image(f"{files.url}/a.png")] * 5)) == 5
    assert len(files.requests) == before + 1


def test_nothing_of_the_gateways_goes_along(
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


# --- what is left alone --------------------------------------------------------------------------------------


def test_it_is_off_unless_the_site_says_otherwise(files: Upstream) -> None:
    chat = chat_with(image(f"{files.url}/a.png"))
    assert asyncio.run(inline_files(chat, NOTHING, provider(None))) is chat


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_providers_api_fetches_itself_is_left_to_it(files: Upstream, name: str) -> None:
    before = len(files.requests)
    taken = DIALECTS[name].remote_files
    parts = {"image_url": image(f"{files.url}/a.png"), "file": file(f"{files.url}/a.pdf")}
    told = fetched(*parts.values(), taken=taken)
    assert {kind for kind, part in zip(parts, told, strict=True) if part == parts[kind]} == taken
    assert len(files.requests) == before + 2 - len(taken)


INSIDE = [
    "http://10.0.0.5:8000/v1",
    "http://127.0.0.1:8080/v1",
    "http://localhost:1234/v1",
    "http://vllm:8000/v1",
    "http://llm.svc/v1",
]


@pytest.mark.parametrize("base_url", INSIDE)
def test_a_provider_inside_is_never_made_to_fetch(files: Upstream, base_url: str) -> None:
    chat, taken = chat_with(image(f"{files.url}/a.png")), frozenset({"image_url"})
    with pytest.raises(UnsupportedField) as caught:
        refuse_addresses(dict(chat), chat, provider(None, base_url))
    assert caught.value.param == "messages[0].content[1].image_url.url"
    refuse_addresses(dict(chat), chat, provider(None, base_url, fetches_files=True))
    told: Any = asyncio.run(inline_files(chat, taken, provider(LOOPBACK, base_url)))
    assert told["messages"][0]["content"][1] == image(data_url("image/png", PNG))
    assert (
        asyncio.run(inline_files(chat, taken, provider(None, base_url, fetches_files=True))) is chat
    )


@pytest.mark.parametrize(
    "base_url", ["https://api.openai.com/v1", "http://8.8.8.8/v1", "https://[2606:4700::1111]/v1"]
)
def test_a_provider_outside_stands_in_no_network_of_ours(base_url: str) -> None:
    assert not is_internal(base_url)


# --- addresses that lead inward ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.8", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::7f00:1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::1", False),
        ("2002:a00:1::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://localhost.:{port}/a.png",
        "http://127.0.0.1.:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://0x7f000001:{port}/a.png",
        "http://0x7f.1:{port}/a.png",
        "http://017700000001:{port}/a.png",
        "http://127.1:{port}/a.png",
        "http://0:{port}/a.png",
        "http://0.0.0.0:{port}/a.png",
        "http://１２７.0.0.1:{port}/a.png",
        "http://127。0。0。1:{port}/a.png",
        "http://[::1]:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://[::ffff:7f00:1]:{port}/a.png",
        "http://[fe80::1%25lo]:{port}/a.png",
        "http://[::1%25lo]:{port}/a.png",
        "http://127.0.0.1:{port}\\@8.8.8.8/a.png",
        "http://8.8.8.8@127.0.0.1:{port}/a.png",
        "http://127.0.0.1%00.example.com:{port}/a.png",
        "http://127.0.0.1\t:{port}/a.png",
        "http://127.0.0.1:{port}\r\n/a.png",
    ],
)
def test_no_way_to_write_an_address_leads_inward(files: Upstream, url: str) -> None:
    before = files.connections
    port = files.url.rpartition(":")[2].partition("/")[0]
    refusal(image(url.format(port=port)), policy=NOBODY_INSIDE)
    assert files.connections == before


@pytest.mark.parametrize("path", ["/inward", "/to-file", "/to-user"])
def test_no_redirect_leads_inward(files: Upstream, path: str) -> None:
    assert "only" in refusal(image(files.url + path))


def test_a_name_is_looked_up_once_and_what_it_led_to_is_what_is_checked(
    files: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name's server is the attacker's: to whoever asks a second time it says what is public."""
    port = int(files.url.rpartition(":")[2].partition("/")[0])
    answers = iter(["127.0.0.1", "8.8.8.8"])
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *args, **more: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))],
    )
    before = files.connections
    refusal(image(f"http://rebinding.example:{port}/a.png"), policy=NOBODY_INSIDE)
    assert files.connections == before
    assert next(answers) == "8.8.8.8"


def test_a_name_that_is_inside_and_one_that_is_nowhere_look_the_same(files: Upstream) -> None:
    port = files.url.rpartition(":")[2].partition("/")[0]
    inside = refusal(image(f"http://localhost:{port}/a.png"), policy=NOBODY_INSIDE)
    assert inside == refusal(image("http://nowhere.invalid/a.png"), policy=NOBODY_INSIDE)


@pytest.mark.parametrize(
    "url",
    ["http://8.8.8.8:25/a.png", "https://8.8.8.8:6379/a.png", "http://[2606:4700::1111]:22/a.png"],
)
def test_only_the_webs_own_ports_are_reached(url: str) -> None:
    assert "ports" in refusal(image(url), policy=NOBODY_INSIDE)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hidden@example.com/a.png",
        "http://user@example.com/",
        "http:///a.png",
        "http://",
    ],
)
def test_addresses_that_are_more_or_less_than_one_are_refused(url: str) -> None:
    assert "only" in refusal(image(url), policy=NOBODY_INSIDE)


# --- answers that lie, and answers without end ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "path", "words"),
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
def test_a_file_that_is_not_right_is_refused_without_telling_what_was_found(
    files: Upstream, part: Any, path: str, words: str
) -> None:
    assert words in refusal(part(files.url + path))


def test_the_refusal_names_the_place(files: Upstream) -> None:
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


def test_a_request_has_so_many_files_and_no_more(files: Upstream) -> None:
    policy = RemoteFiles(max_files=3, private_networks=("127.0.0.0/8",))
    before = files.connections
    assert "at most 3" in refusal(
        *(image(f"{files.url}/a.png?{number}") for number in range(4)), policy=policy
    )
    assert files.connections == before


def test_a_file_that_fails_ends_the_others_and_leaves_nothing_open(files: Upstream) -> None:
    begun = time.monotonic()
    refusal(
        image(f"{files.url}/slow"),
        image(f"{files.url}/missing"),
        policy=RemoteFiles(private_networks=("127.0.0.0/8",)),
    )
    assert time.monotonic() - begun < 3


def test_slow_files_of_one_request_hold_up_no_other(files: Upstream) -> None:
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


def test_names_that_hang_hold_up_no_other_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers' names are looked up in the loop's own threads, of which a small machine has six:
    none may be taken."""
    look_up, gate = socket.getaddrinfo, threading.Event()
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: (
            gate.wait(10) if host == "hangs.example" else look_up(host, *rest, **more)
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


def test_nothing_of_it_is_logged(files: Upstream, caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        refusal(image(f"{files.url}/missing?token=hidden"))
    assert "hidden" not in caplog.text
