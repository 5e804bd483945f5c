"""Internal addresses, which a client must not make the gateway fetch from."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from native_api.upstream.files.ip_policy import is_public
from tests.scripted_provider import Upstream
from tests.upstream.file_server import (
    NOBODY_INSIDE,
    image,
    refusal,
)


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
def test_which_addresses_are_public(address: str, public: bool) -> None:
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
def test_no_notation_of_an_internal_address_is_fetched(files: Upstream, url: str) -> None:
    before = files.connections
    port = files.url.rpartition(":")[2].partition("/")[0]
    refusal(image(url.format(port=port)), policy=NOBODY_INSIDE)
    assert files.connections == before


@pytest.mark.parametrize("path", ["/inward", "/to-file", "/to-user"])
def test_no_redirect_to_an_internal_address_is_followed(files: Upstream, path: str) -> None:
    assert "only" in refusal(image(files.url + path))


def test_a_name_is_looked_up_once_and_its_address_is_checked(
    files: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacker's DNS server gives a public address to a second look-up."""
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


def test_an_internal_name_and_an_unknown_name_look_the_same(files: Upstream) -> None:
    port = files.url.rpartition(":")[2].partition("/")[0]
    inside = refusal(image(f"http://localhost:{port}/a.png"), policy=NOBODY_INSIDE)
    assert inside == refusal(image("http://nowhere.invalid/a.png"), policy=NOBODY_INSIDE)


@pytest.mark.parametrize(
    "url",
    ["http://8.8.8.8:25/a.png", "https://8.8.8.8:6379/a.png", "http://[2606:4700::1111]:22/a.png"],
)
def test_only_ports_80_and_443_are_reached(url: str) -> None:
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
def test_invalid_urls_are_refused(url: str) -> None:
    assert "only" in refusal(image(url), policy=NOBODY_INSIDE)
